000000000001dae0 <tz_near_scan>:
   1dae0:	push   %rbp
   1dae1:	mov    %rsp,%rbp
   1dae4:	push   %r15
   1dae6:	push   %r14
   1dae8:	push   %r13
   1daea:	push   %r12
   1daec:	push   %rbx
   1daed:	mov    %rdi,%rbx
   1daf0:	sub    $0x78,%rsp
   1daf4:	cmpb   $0x0,0x19c(%rdi)
   1dafb:	mov    (%rdi),%r12
   1dafe:	mov    %esi,-0x38(%rbp)
   1db01:	movl   $0x0,-0x34(%rbp)
   1db08:	je     1ddf0 <tz_near_scan+0x310>
   1db0e:	test   %r12,%r12
   1db11:	je     1ddd7 <tz_near_scan+0x2f7>
   1db17:	lea    0x54ae2(%rip),%rax        # 72600 <tz_mem>
   1db1e:	mov    %rax,-0x60(%rbp)
   1db22:	mov    (%rax),%r13
   1db25:	mov    0x8(%rax),%r14
   1db29:	mov    0x28(%rax),%rdi
   1db2d:	movq   $0x0,-0x50(%rbp)
   1db35:	mov    0x18(%rax),%r8
   1db39:	mov    0x14800(%rax),%eax
   1db3f:	mov    %rdi,-0x40(%rbp)
   1db43:	lea    0x10(%r12),%rdi
   1db48:	mov    %eax,-0x98(%rbp)
   1db4e:	lea    0x1000(%r12),%rax
   1db56:	mov    %rax,-0x78(%rbp)
   1db5a:	mov    0x8(%r12),%rax
   1db5f:	mov    %rdi,-0x70(%rbp)
   1db63:	lea    (%rdi,%rax,8),%r9
   1db67:	test   %esi,%esi
   1db69:	je     1e3bc <tz_near_scan+0x8dc>
   1db6f:	cmp    %r9,%rdi
   1db72:	jae    1e3bc <tz_near_scan+0x8dc>
   1db78:	movq   $0x0,-0x68(%rbp)
   1db80:	mov    %r14,%r15
   1db83:	mov    %rbx,-0x90(%rbp)
   1db8a:	mov    %r12,-0x88(%rbp)
   1db91:	mov    %r8,%r12
   1db94:	mov    -0x8(%r9),%rax
   1db98:	lea    -0x8(%r9),%rsi
   1db9c:	lea    -0x1(%rax),%rbx
   1dba0:	test   $0x7,%bl
   1dba3:	jne    1dda0 <tz_near_scan+0x2c0>
   1dba9:	mov    %rbx,%rax
   1dbac:	sub    %r13,%rax
   1dbaf:	cmp    %r15,%rax
   1dbb2:	jae    1dda0 <tz_near_scan+0x2c0>
   1dbb8:	shr    $0xd,%rax
   1dbbc:	lea    0x2c7bd(%rip),%r10        # 4a380 <tz_sizeclass>
   1dbc3:	mov    -0x78(%rbp),%rdi
   1dbc7:	movzbl (%r12,%rax,1),%edx
   1dbcc:	sub    %rsi,%rdi
   1dbcf:	sub    $0x1,%edx
   1dbd2:	movslq %edx,%rdx
   1dbd5:	lea    (%rdx,%rdx,2),%rdx
   1dbd9:	lea    (%r10,%rdx,4),%rcx
   1dbdd:	cmpb   $0x1,0xa(%rcx)
   1dbe1:	jne    1dda0 <tz_near_scan+0x2c0>
   1dbe7:	mov    (%rcx),%edx
   1dbe9:	cmp    $0x200,%edx
   1dbef:	ja     1dda0 <tz_near_scan+0x2c0>
   1dbf5:	mov    %edx,%r14d
   1dbf8:	mov    %r14,-0x80(%rbp)
   1dbfc:	cmp    %r14,%rdi
   1dbff:	jl     1dda0 <tz_near_scan+0x2c0>
   1dc05:	mov    %edx,%r8d
   1dc08:	shr    $0x3,%r8d
   1dc0c:	cmpb   $0x0,0xb(%rcx)
   1dc10:	je     1e228 <tz_near_scan+0x748>
   1dc16:	mov    %rbx,%rcx
   1dc19:	mov    -0x60(%rbp),%r14
   1dc1d:	shl    $0x7,%rax
   1dc21:	shr    $0x3,%rcx
   1dc25:	mov    %rcx,%rdi
   1dc28:	add    0x38(%r14),%rax
   1dc2c:	mov    %ecx,%r14d
   1dc2f:	and    $0x3ff,%edi
   1dc35:	and    $0x3f,%r14d
   1dc39:	shr    $0x6,%rdi
   1dc3d:	mov    (%rax,%rdi,8),%r11
   1dc41:	shr    %cl,%r11
   1dc44:	lea    (%r8,%r14,1),%ecx
   1dc48:	cmp    $0x40,%ecx
   1dc4b:	jbe    1dc60 <tz_near_scan+0x180>
   1dc4d:	mov    0x8(%rax,%rdi,8),%rax
   1dc52:	mov    $0x40,%ecx
   1dc57:	sub    %r14d,%ecx
   1dc5a:	shl    %cl,%rax
   1dc5d:	or     %rax,%r11
   1dc60:	cmp    $0x200,%edx
   1dc66:	je     1dc7b <tz_near_scan+0x19b>
   1dc68:	mov    $0xffffffffffffffff,%rax
   1dc6f:	mov    %r8d,%ecx
   1dc72:	shl    %cl,%rax
   1dc75:	not    %rax
   1dc78:	and    %rax,%r11
   1dc7b:	test   %r11,%r11
   1dc7e:	je     1dda0 <tz_near_scan+0x2c0>
   1dc84:	mov    %rsi,-0x58(%rbp)
   1dc88:	mov    %r10,-0x48(%rbp)
   1dc8c:	nopl   0x0(%rax)
   1dc90:	bsr    %r11,%rax
   1dc94:	mov    $0x3f,%ecx
   1dc99:	xor    $0x3f,%rax
   1dc9d:	sub    %eax,%ecx
   1dc9f:	mov    $0x1,%eax
   1dca4:	mov    (%rbx,%rcx,8),%rdi
   1dca8:	shl    %cl,%rax
   1dcab:	not    %rax
   1dcae:	and    %rax,%r11
   1dcb1:	mov    %rdi,%rax
   1dcb4:	sub    %r13,%rax
   1dcb7:	cmp    %r15,%rax
   1dcba:	jae    1e100 <tz_near_scan+0x620>
   1dcc0:	shr    $0xd,%rax
   1dcc4:	movzbl (%r12,%rax,1),%edx
   1dcc9:	sub    $0x1,%edx
   1dccc:	cmp    $0xc8,%edx
   1dcd2:	ja     1dd70 <tz_near_scan+0x290>
   1dcd8:	mov    -0x48(%rbp),%rsi
   1dcdc:	lea    (%rdx,%rdx,2),%rdx
   1dce0:	lea    (%rsi,%rdx,4),%rdx
   1dce4:	cmpb   $0x1,0xa(%rdx)
   1dce8:	jne    1e330 <tz_near_scan+0x850>
   1dcee:	mov    0x4(%rdx),%esi
   1dcf1:	mov    %rdi,%rcx
   1dcf4:	shl    $0x7,%rax
   1dcf8:	mov    (%rdx),%r10d
   1dcfb:	and    $0x1fff,%ecx
   1dd01:	mov    $0x1,%r8d
   1dd07:	imul   %rsi,%rcx
   1dd0b:	mov    -0x40(%rbp),%rsi
   1dd0f:	add    %rsi,%rax
   1dd12:	shr    $0x20,%rcx
   1dd16:	mov    %rcx,%rsi
   1dd19:	shl    %cl,%r8
   1dd1c:	shr    $0x6,%rsi
   1dd20:	shl    $0x4,%rsi
   1dd24:	lea    (%rax,%rsi,1),%r9
   1dd28:	mov    (%r9),%r14
   1dd2b:	test   %r14,%r8
   1dd2e:	je     1dd70 <tz_near_scan+0x290>
   1dd30:	mov    0x8(%rax,%rsi,1),%rax
   1dd35:	test   %rax,%r8
   1dd38:	jne    1dd70 <tz_near_scan+0x290>
   1dd3a:	or     %r8,0x8(%r9)
   1dd3e:	mov    %r10d,%eax
   1dd41:	add    %rax,-0x50(%rbp)
   1dd45:	cmpb   $0x1,0xb(%rdx)
   1dd49:	je     1dd70 <tz_near_scan+0x290>
   1dd4b:	imul   %ecx,%r10d
   1dd4f:	and    $0xffffffffffffe000,%rdi
   1dd56:	mov    -0x58(%rbp),%rax
   1dd5a:	add    $0x8,%rax
   1dd5e:	add    %r10,%rdi
   1dd61:	prefetcht0 (%rdi)
   1dd64:	or     $0x1,%rdi
   1dd68:	mov    %rdi,-0x8(%rax)
   1dd6c:	mov    %rax,-0x58(%rbp)
   1dd70:	test   %r11,%r11
   1dd73:	jne    1dc90 <tz_near_scan+0x1b0>
   1dd79:	mov    -0x58(%rbp),%r9
   1dd7d:	mov    -0x80(%rbp),%rbx
   1dd81:	addl   $0x1,-0x34(%rbp)
   1dd85:	add    %rbx,-0x68(%rbp)
   1dd89:	mov    -0x34(%rbp),%eax
   1dd8c:	mov    -0x38(%rbp),%ebx
   1dd8f:	cmp    %ebx,%eax
   1dd91:	jae    1dda0 <tz_near_scan+0x2c0>
   1dd93:	cmp    %r9,-0x70(%rbp)
   1dd97:	jb     1db94 <tz_near_scan+0xb4>
   1dd9d:	nopl   (%rax)
   1dda0:	mov    -0x88(%rbp),%r12
   1dda7:	mov    -0x90(%rbp),%rbx
   1ddae:	mov    -0x70(%rbp),%rdi
   1ddb2:	mov    %r9,%rax
   1ddb5:	sub    %rdi,%rax
   1ddb8:	sar    $0x3,%rax
   1ddbc:	mov    %rax,0x8(%r12)
   1ddc1:	mov    -0x50(%rbp),%rax
   1ddc5:	add    %rax,0x8e0(%rbx)
   1ddcc:	mov    -0x68(%rbp),%rax
   1ddd0:	add    %rax,0x8e8(%rbx)
   1ddd7:	mov    -0x34(%rbp),%eax
   1ddda:	add    $0x78,%rsp
   1ddde:	pop    %rbx
   1dddf:	pop    %r12
   1dde1:	pop    %r13
   1dde3:	pop    %r14
   1dde5:	pop    %r15
   1dde7:	pop    %rbp
   1dde8:	ret
   1dde9:	nopl   0x0(%rax)
   1ddf0:	test   %r12,%r12
   1ddf3:	je     1ddd7 <tz_near_scan+0x2f7>
   1ddf5:	lea    0x54804(%rip),%rax        # 72600 <tz_mem>
   1ddfc:	mov    %rax,-0x60(%rbp)
   1de00:	mov    (%rax),%r8
   1de03:	mov    0x8(%rax),%r14
   1de07:	mov    0x28(%rax),%rdi
   1de0b:	movq   $0x0,-0x58(%rbp)
   1de13:	mov    0x18(%rax),%r13
   1de17:	mov    0x14800(%rax),%eax
   1de1d:	mov    %rdi,-0x48(%rbp)
   1de21:	lea    0x10(%r12),%rdi
   1de26:	mov    %eax,-0x9c(%rbp)
   1de2c:	lea    0x1000(%r12),%rax
   1de34:	mov    %rax,-0x80(%rbp)
   1de38:	mov    0x8(%r12),%rax
   1de3d:	mov    %rdi,-0x78(%rbp)
   1de41:	lea    (%rdi,%rax,8),%r9
   1de45:	mov    -0x38(%rbp),%eax
   1de48:	test   %eax,%eax
   1de4a:	je     1e3a8 <tz_near_scan+0x8c8>
   1de50:	cmp    %r9,%rdi
   1de53:	jae    1e3a8 <tz_near_scan+0x8c8>
   1de59:	movq   $0x0,-0x68(%rbp)
   1de61:	mov    %r14,%r15
   1de64:	mov    %r13,%r14
   1de67:	mov    %r12,-0x90(%rbp)
   1de6e:	mov    %rbx,-0x98(%rbp)
   1de75:	mov    -0x8(%r9),%rax
   1de79:	lea    -0x8(%r9),%rsi
   1de7d:	lea    -0x1(%rax),%rbx
   1de81:	test   $0x7,%bl
   1de84:	jne    1e0a0 <tz_near_scan+0x5c0>
   1de8a:	mov    %rbx,%rax
   1de8d:	sub    %r8,%rax
   1de90:	cmp    %r15,%rax
   1de93:	jae    1e0a0 <tz_near_scan+0x5c0>
   1de99:	shr    $0xd,%rax
   1de9d:	lea    0x2c4dc(%rip),%rcx        # 4a380 <tz_sizeclass>
   1dea4:	mov    -0x80(%rbp),%rdi
   1dea8:	movzbl (%r14,%rax,1),%edx
   1dead:	mov    %rcx,-0x40(%rbp)
   1deb1:	sub    %rsi,%rdi
   1deb4:	sub    $0x1,%edx
   1deb7:	movslq %edx,%rdx
   1deba:	lea    (%rdx,%rdx,2),%rdx
   1debe:	lea    (%rcx,%rdx,4),%rcx
   1dec2:	cmpb   $0x1,0xa(%rcx)
   1dec6:	jne    1e0a0 <tz_near_scan+0x5c0>
   1decc:	mov    (%rcx),%edx
   1dece:	cmp    $0x200,%edx
   1ded4:	ja     1e0a0 <tz_near_scan+0x5c0>
   1deda:	mov    %edx,%r10d
   1dedd:	mov    %r10,-0x88(%rbp)
   1dee4:	cmp    %r10,%rdi
   1dee7:	jl     1e0a0 <tz_near_scan+0x5c0>
   1deed:	mov    %edx,%r10d
   1def0:	shr    $0x3,%r10d
   1def4:	cmpb   $0x0,0xb(%rcx)
   1def8:	je     1e118 <tz_near_scan+0x638>
   1defe:	mov    %rbx,%rcx
   1df01:	mov    -0x60(%rbp),%r11
   1df05:	shl    $0x7,%rax
   1df09:	shr    $0x3,%rcx
   1df0d:	mov    %rcx,%rdi
   1df10:	add    0x38(%r11),%rax
   1df14:	mov    %ecx,%r12d
   1df17:	and    $0x3ff,%edi
   1df1d:	and    $0x3f,%r12d
   1df21:	shr    $0x6,%rdi
   1df25:	mov    (%rax,%rdi,8),%r11
   1df29:	shr    %cl,%r11
   1df2c:	lea    (%r10,%r12,1),%ecx
   1df30:	cmp    $0x40,%ecx
   1df33:	jbe    1df48 <tz_near_scan+0x468>
   1df35:	mov    0x8(%rax,%rdi,8),%rax
   1df3a:	mov    $0x40,%ecx
   1df3f:	sub    %r12d,%ecx
   1df42:	shl    %cl,%rax
   1df45:	or     %rax,%r11
   1df48:	cmp    $0x200,%edx
   1df4e:	je     1df63 <tz_near_scan+0x483>
   1df50:	mov    $0xffffffffffffffff,%rax
   1df57:	mov    %r10d,%ecx
   1df5a:	shl    %cl,%rax
   1df5d:	not    %rax
   1df60:	and    %rax,%r11
   1df63:	test   %r11,%r11
   1df66:	je     1e0a0 <tz_near_scan+0x5c0>
   1df6c:	mov    %rsi,-0x70(%rbp)
   1df70:	mov    $0x3f,%r12d
   1df76:	cs nopw 0x0(%rax,%rax,1)
   1df80:	bsr    %r11,%rax
   1df84:	mov    %r12d,%ecx
   1df87:	xor    $0x3f,%rax
   1df8b:	sub    %eax,%ecx
   1df8d:	mov    $0x1,%eax
   1df92:	mov    (%rbx,%rcx,8),%rdi
   1df96:	shl    %cl,%rax
   1df99:	not    %rax
   1df9c:	and    %rax,%r11
   1df9f:	mov    %rdi,%rax
   1dfa2:	sub    %r8,%rax
   1dfa5:	cmp    %r15,%rax
   1dfa8:	jae    1e0e0 <tz_near_scan+0x600>
   1dfae:	shr    $0xd,%rax
   1dfb2:	movzbl (%r14,%rax,1),%edx
   1dfb7:	sub    $0x1,%edx
   1dfba:	cmp    $0xc8,%edx
   1dfc0:	ja     1e070 <tz_near_scan+0x590>
   1dfc6:	mov    -0x40(%rbp),%rsi
   1dfca:	lea    (%rdx,%rdx,2),%rdx
   1dfce:	lea    (%rsi,%rdx,4),%rsi
   1dfd2:	cmpb   $0x1,0xa(%rsi)
   1dfd6:	jne    1e350 <tz_near_scan+0x870>
   1dfdc:	mov    (%rsi),%edx
   1dfde:	mov    %rdi,%rcx
   1dfe1:	shl    $0x7,%rax
   1dfe5:	mov    $0x1,%r9d
   1dfeb:	and    $0x1fff,%ecx
   1dff1:	mov    %edx,-0x50(%rbp)
   1dff4:	mov    0x4(%rsi),%edx
   1dff7:	imul   %rdx,%rcx
   1dffb:	mov    -0x48(%rbp),%rdx
   1dfff:	add    %rdx,%rax
   1e002:	shr    $0x20,%rcx
   1e006:	mov    %rcx,%rdx
   1e009:	mov    %ecx,%r10d
   1e00c:	shl    %cl,%r9
   1e00f:	shr    $0x6,%rdx
   1e013:	and    $0x3f,%r10d
   1e017:	shl    $0x4,%rdx
   1e01b:	mov    (%rax,%rdx,1),%r13
   1e01f:	test   %r13,%r9
   1e022:	je     1e070 <tz_near_scan+0x590>
   1e024:	lea    0x8(%rax,%rdx,1),%rax
   1e029:	mov    (%rax),%rdx
   1e02c:	test   %rdx,%r9
   1e02f:	jne    1e070 <tz_near_scan+0x590>
   1e031:	lock bts %r10,(%rax)
   1e036:	jb     1e070 <tz_near_scan+0x590>
   1e038:	mov    -0x50(%rbp),%eax
   1e03b:	add    %rax,-0x58(%rbp)
   1e03f:	cmpb   $0x1,0xb(%rsi)
   1e043:	je     1e070 <tz_near_scan+0x590>
   1e045:	imul   %ecx,%eax
   1e048:	and    $0xffffffffffffe000,%rdi
   1e04f:	add    %rax,%rdi
   1e052:	mov    -0x70(%rbp),%rax
   1e056:	prefetcht0 (%rdi)
   1e059:	or     $0x1,%rdi
   1e05d:	mov    %rdi,(%rax)
   1e060:	add    $0x8,%rax
   1e064:	mov    %rax,-0x70(%rbp)
   1e068:	nopl   0x0(%rax,%rax,1)
   1e070:	test   %r11,%r11
   1e073:	jne    1df80 <tz_near_scan+0x4a0>
   1e079:	mov    -0x70(%rbp),%r9
   1e07d:	mov    -0x88(%rbp),%rbx
   1e084:	addl   $0x1,-0x34(%rbp)
   1e088:	add    %rbx,-0x68(%rbp)
   1e08c:	mov    -0x34(%rbp),%eax
   1e08f:	mov    -0x38(%rbp),%ebx
   1e092:	cmp    %ebx,%eax
   1e094:	jae    1e0a0 <tz_near_scan+0x5c0>
   1e096:	cmp    %r9,-0x78(%rbp)
   1e09a:	jb     1de75 <tz_near_scan+0x395>
   1e0a0:	mov    -0x90(%rbp),%r12
   1e0a7:	mov    -0x98(%rbp),%rbx
   1e0ae:	mov    -0x78(%rbp),%rdi
   1e0b2:	mov    %r9,%rax
   1e0b5:	sub    %rdi,%rax
   1e0b8:	sar    $0x3,%rax
   1e0bc:	mov    %rax,0x8(%r12)
   1e0c1:	mov    -0x58(%rbp),%rax
   1e0c5:	add    %rax,0x8e0(%rbx)
   1e0cc:	mov    -0x68(%rbp),%rax
   1e0d0:	add    %rax,0x8e8(%rbx)
   1e0d7:	jmp    1ddd7 <tz_near_scan+0x2f7>
   1e0dc:	nopl   0x0(%rax)
   1e0e0:	cmpl   $0x1,-0x9c(%rbp)
   1e0e7:	ja     4f2b <tz_near_scan.cold+0x91>
   1e0ed:	test   %r11,%r11
   1e0f0:	jne    1df80 <tz_near_scan+0x4a0>
   1e0f6:	jmp    1e079 <tz_near_scan+0x599>
   1e0fb:	nopl   0x0(%rax,%rax,1)
   1e100:	cmpl   $0x1,-0x98(%rbp)
   1e107:	jbe    1dd70 <tz_near_scan+0x290>
   1e10d:	jmp    4ecc <tz_near_scan.cold+0x32>
   1e112:	nopw   0x0(%rax,%rax,1)
   1e118:	lea    0x0(,%r10,8),%r11d
   1e120:	mov    %rsi,%r9
   1e123:	add    %rbx,%r11
   1e126:	cmp    %r11,%rbx
   1e129:	jae    1e07d <tz_near_scan+0x59d>
   1e12f:	mov    %rsi,-0x50(%rbp)
   1e133:	nopl   0x0(%rax,%rax,1)
   1e138:	mov    -0x8(%r11),%rdi
   1e13c:	sub    $0x8,%r11
   1e140:	mov    %rdi,%rax
   1e143:	sub    %r8,%rax
   1e146:	cmp    %r15,%rax
   1e149:	jae    4ef1 <tz_near_scan.cold+0x57>
   1e14f:	shr    $0xd,%rax
   1e153:	movzbl (%r14,%rax,1),%edx
   1e158:	sub    $0x1,%edx
   1e15b:	cmp    $0xc8,%edx
   1e161:	ja     1e210 <tz_near_scan+0x730>
   1e167:	mov    -0x40(%rbp),%rsi
   1e16b:	lea    (%rdx,%rdx,2),%rdx
   1e16f:	lea    (%rsi,%rdx,4),%rsi
   1e173:	cmpb   $0x1,0xa(%rsi)
   1e177:	jne    1e378 <tz_near_scan+0x898>
   1e17d:	mov    0x4(%rsi),%edx
   1e180:	mov    %rdi,%rcx
   1e183:	shl    $0x7,%rax
   1e187:	mov    (%rsi),%r12d
   1e18a:	and    $0x1fff,%ecx
   1e190:	mov    $0x1,%r9d
   1e196:	imul   %rdx,%rcx
   1e19a:	mov    -0x48(%rbp),%rdx
   1e19e:	add    %rdx,%rax
   1e1a1:	shr    $0x20,%rcx
   1e1a5:	mov    %rcx,%rdx
   1e1a8:	mov    %ecx,%r10d
   1e1ab:	shl    %cl,%r9
   1e1ae:	shr    $0x6,%rdx
   1e1b2:	and    $0x3f,%r10d
   1e1b6:	shl    $0x4,%rdx
   1e1ba:	mov    (%rax,%rdx,1),%r13
   1e1be:	test   %r13,%r9
   1e1c1:	je     1e210 <tz_near_scan+0x730>
   1e1c3:	lea    0x8(%rax,%rdx,1),%rax
   1e1c8:	mov    (%rax),%rdx
   1e1cb:	test   %rdx,%r9
   1e1ce:	jne    1e210 <tz_near_scan+0x730>
   1e1d0:	lock bts %r10,(%rax)
   1e1d5:	jb     1e210 <tz_near_scan+0x730>
   1e1d7:	mov    %r12d,%eax
   1e1da:	add    %rax,-0x58(%rbp)
   1e1de:	cmpb   $0x1,0xb(%rsi)
   1e1e2:	je     1e210 <tz_near_scan+0x730>
   1e1e4:	imul   %ecx,%r12d
   1e1e8:	and    $0xffffffffffffe000,%rdi
   1e1ef:	mov    -0x50(%rbp),%rax
   1e1f3:	add    $0x8,%rax
   1e1f7:	add    %r12,%rdi
   1e1fa:	prefetcht0 (%rdi)
   1e1fd:	or     $0x1,%rdi
   1e201:	mov    %rdi,-0x8(%rax)
   1e205:	mov    %rax,-0x50(%rbp)
   1e209:	nopl   0x0(%rax)
   1e210:	cmp    %r11,%rbx
   1e213:	jb     1e138 <tz_near_scan+0x658>
   1e219:	mov    -0x50(%rbp),%r9
   1e21d:	jmp    1e07d <tz_near_scan+0x59d>
   1e222:	nopw   0x0(%rax,%rax,1)
   1e228:	lea    0x0(,%r8,8),%r11d
   1e230:	mov    %rsi,%r9
   1e233:	add    %rbx,%r11
   1e236:	cmp    %r11,%rbx
   1e239:	jae    1dd7d <tz_near_scan+0x29d>
   1e23f:	mov    %rsi,-0x58(%rbp)
   1e243:	mov    %r10,-0x48(%rbp)
   1e247:	nopw   0x0(%rax,%rax,1)
   1e250:	mov    -0x8(%r11),%rdi
   1e254:	sub    $0x8,%r11
   1e258:	mov    %rdi,%rax
   1e25b:	sub    %r13,%rax
   1e25e:	cmp    %r15,%rax
   1e261:	jae    4e9a <tz_near_scan.cold>
   1e267:	shr    $0xd,%rax
   1e26b:	movzbl (%r12,%rax,1),%edx
   1e270:	sub    $0x1,%edx
   1e273:	cmp    $0xc8,%edx
   1e279:	ja     1e320 <tz_near_scan+0x840>
   1e27f:	mov    -0x48(%rbp),%rsi
   1e283:	lea    (%rdx,%rdx,2),%rdx
   1e287:	lea    (%rsi,%rdx,4),%rdx
   1e28b:	cmpb   $0x1,0xa(%rdx)
   1e28f:	jne    1e390 <tz_near_scan+0x8b0>
   1e295:	mov    0x4(%rdx),%esi
   1e298:	mov    %rdi,%rcx
   1e29b:	shl    $0x7,%rax
   1e29f:	mov    (%rdx),%r10d
   1e2a2:	and    $0x1fff,%ecx
   1e2a8:	mov    $0x1,%r8d
   1e2ae:	imul   %rsi,%rcx
   1e2b2:	mov    -0x40(%rbp),%rsi
   1e2b6:	add    %rsi,%rax
   1e2b9:	shr    $0x20,%rcx
   1e2bd:	mov    %rcx,%rsi
   1e2c0:	shl    %cl,%r8
   1e2c3:	shr    $0x6,%rsi
   1e2c7:	shl    $0x4,%rsi
   1e2cb:	lea    (%rax,%rsi,1),%r9
   1e2cf:	mov    (%r9),%r14
   1e2d2:	test   %r14,%r8
   1e2d5:	je     1e320 <tz_near_scan+0x840>
   1e2d7:	mov    0x8(%rax,%rsi,1),%rax
   1e2dc:	test   %rax,%r8
   1e2df:	jne    1e320 <tz_near_scan+0x840>
   1e2e1:	or     %r8,0x8(%r9)
   1e2e5:	mov    %r10d,%eax
   1e2e8:	add    %rax,-0x50(%rbp)
   1e2ec:	cmpb   $0x1,0xb(%rdx)
   1e2f0:	je     1e320 <tz_near_scan+0x840>
   1e2f2:	imul   %ecx,%r10d
   1e2f6:	and    $0xffffffffffffe000,%rdi
   1e2fd:	mov    -0x58(%rbp),%rax
   1e301:	add    $0x8,%rax
   1e305:	add    %r10,%rdi
   1e308:	prefetcht0 (%rdi)
   1e30b:	or     $0x1,%rdi
   1e30f:	mov    %rdi,-0x8(%rax)
   1e313:	mov    %rax,-0x58(%rbp)
   1e317:	nopw   0x0(%rax,%rax,1)
   1e320:	cmp    %r11,%rbx
   1e323:	jb     1e250 <tz_near_scan+0x770>
   1e329:	jmp    1dd79 <tz_near_scan+0x299>
   1e32e:	xchg   %ax,%ax
   1e330:	mov    -0x58(%rbp),%rax
   1e334:	and    $0xfffffffffffffff8,%rdi
   1e338:	mov    %rdi,(%rax)
   1e33b:	add    $0x8,%rax
   1e33f:	mov    %rax,-0x58(%rbp)
   1e343:	jmp    1dd70 <tz_near_scan+0x290>
   1e348:	nopl   0x0(%rax,%rax,1)
   1e350:	mov    -0x70(%rbp),%rax
   1e354:	and    $0xfffffffffffffff8,%rdi
   1e358:	mov    %rdi,(%rax)
   1e35b:	add    $0x8,%rax
   1e35f:	mov    %rax,-0x70(%rbp)
   1e363:	test   %r11,%r11
   1e366:	jne    1df80 <tz_near_scan+0x4a0>
   1e36c:	jmp    1e079 <tz_near_scan+0x599>
   1e371:	nopl   0x0(%rax)
   1e378:	mov    -0x50(%rbp),%rax
   1e37c:	and    $0xfffffffffffffff8,%rdi
   1e380:	mov    %rdi,(%rax)
   1e383:	add    $0x8,%rax
   1e387:	mov    %rax,-0x50(%rbp)
   1e38b:	jmp    1e210 <tz_near_scan+0x730>
   1e390:	mov    -0x58(%rbp),%rax
   1e394:	and    $0xfffffffffffffff8,%rdi
   1e398:	mov    %rdi,(%rax)
   1e39b:	add    $0x8,%rax
   1e39f:	mov    %rax,-0x58(%rbp)
   1e3a3:	jmp    1e320 <tz_near_scan+0x840>
   1e3a8:	movl   $0x0,-0x34(%rbp)
   1e3af:	movq   $0x0,-0x68(%rbp)
   1e3b7:	jmp    1e0ae <tz_near_scan+0x5ce>
   1e3bc:	movl   $0x0,-0x34(%rbp)
   1e3c3:	movq   $0x0,-0x68(%rbp)
   1e3cb:	jmp    1ddae <tz_near_scan+0x2ce>

