000000000001daa0 <tz_near_scan>:
   1daa0:	push   %rbp
   1daa1:	mov    %rsp,%rbp
   1daa4:	push   %r15
   1daa6:	xor    %r15d,%r15d
   1daa9:	push   %r14
   1daab:	push   %r13
   1daad:	push   %r12
   1daaf:	push   %rbx
   1dab0:	sub    $0x78,%rsp
   1dab4:	mov    (%rdi),%rbx
   1dab7:	mov    %esi,-0x70(%rbp)
   1daba:	test   %rbx,%rbx
   1dabd:	je     1dddc <tz_near_scan+0x33c>
   1dac3:	lea    0x54b36(%rip),%rax        # 72600 <tz_mem>
   1daca:	mov    %rdi,%r12
   1dacd:	lea    0x10(%rbx),%rdi
   1dad1:	mov    (%rax),%r14
   1dad4:	mov    0x8(%rax),%r13
   1dad8:	mov    %rdi,-0x68(%rbp)
   1dadc:	mov    0x18(%rax),%rax
   1dae0:	movq   $0x0,-0x60(%rbp)
   1dae8:	movq   $0x0,-0x50(%rbp)
   1daf0:	mov    %rax,-0x38(%rbp)
   1daf4:	lea    0x54b05(%rip),%rax        # 72600 <tz_mem>
   1dafb:	mov    0x28(%rax),%rax
   1daff:	mov    %rax,-0x40(%rbp)
   1db03:	lea    0x54af6(%rip),%rax        # 72600 <tz_mem>
   1db0a:	mov    0x14800(%rax),%eax
   1db10:	mov    %eax,-0x94(%rbp)
   1db16:	lea    0x1000(%rbx),%rax
   1db1d:	mov    %rax,-0x78(%rbp)
   1db21:	mov    0x8(%rbx),%rax
   1db25:	lea    (%rdi,%rax,8),%r9
   1db29:	movzbl 0x19c(%r12),%eax
   1db32:	mov    %al,-0x69(%rbp)
   1db35:	cmp    %r9,%rdi
   1db38:	jae    1df75 <tz_near_scan+0x4d5>
   1db3e:	test   %esi,%esi
   1db40:	je     1df75 <tz_near_scan+0x4d5>
   1db46:	mov    %rbx,-0x88(%rbp)
   1db4d:	mov    %r15d,-0x44(%rbp)
   1db51:	mov    %r12,-0x90(%rbp)
   1db58:	mov    %r13,%r12
   1db5b:	mov    %r14,%r13
   1db5e:	mov    -0x8(%r9),%rax
   1db62:	lea    -0x8(%r9),%rsi
   1db66:	lea    -0x1(%rax),%rbx
   1db6a:	test   $0x7,%bl
   1db6d:	jne    1dda0 <tz_near_scan+0x300>
   1db73:	mov    %rbx,%rax
   1db76:	sub    %r13,%rax
   1db79:	cmp    %r12,%rax
   1db7c:	jae    1dda0 <tz_near_scan+0x300>
   1db82:	mov    -0x38(%rbp),%rdi
   1db86:	shr    $0xd,%rax
   1db8a:	lea    0x2c7ef(%rip),%r10        # 4a380 <tz_sizeclass>
   1db91:	movzbl (%rdi,%rax,1),%edx
   1db95:	mov    -0x78(%rbp),%rdi
   1db99:	sub    $0x1,%edx
   1db9c:	sub    %rsi,%rdi
   1db9f:	movslq %edx,%rdx
   1dba2:	lea    (%rdx,%rdx,2),%rdx
   1dba6:	lea    (%r10,%rdx,4),%rcx
   1dbaa:	cmpb   $0x1,0xa(%rcx)
   1dbae:	jne    1dda0 <tz_near_scan+0x300>
   1dbb4:	mov    (%rcx),%edx
   1dbb6:	cmp    $0x200,%edx
   1dbbc:	ja     1dda0 <tz_near_scan+0x300>
   1dbc2:	mov    %edx,%r14d
   1dbc5:	mov    %r14,-0x80(%rbp)
   1dbc9:	cmp    %rdi,%r14
   1dbcc:	jg     1dda0 <tz_near_scan+0x300>
   1dbd2:	mov    %edx,%r8d
   1dbd5:	shr    $0x3,%r8d
   1dbd9:	cmpb   $0x0,0xb(%rcx)
   1dbdd:	je     1de20 <tz_near_scan+0x380>
   1dbe3:	mov    %rbx,%rcx
   1dbe6:	lea    0x54a13(%rip),%r15        # 72600 <tz_mem>
   1dbed:	shl    $0x7,%rax
   1dbf1:	shr    $0x3,%rcx
   1dbf5:	mov    %rcx,%rdi
   1dbf8:	add    0x38(%r15),%rax
   1dbfc:	mov    %ecx,%r14d
   1dbff:	and    $0x3ff,%edi
   1dc05:	and    $0x3f,%r14d
   1dc09:	shr    $0x6,%rdi
   1dc0d:	mov    (%rax,%rdi,8),%r11
   1dc11:	shr    %cl,%r11
   1dc14:	lea    (%r8,%r14,1),%ecx
   1dc18:	cmp    $0x40,%ecx
   1dc1b:	jbe    1dc30 <tz_near_scan+0x190>
   1dc1d:	mov    0x8(%rax,%rdi,8),%rax
   1dc22:	mov    $0x40,%ecx
   1dc27:	sub    %r14d,%ecx
   1dc2a:	shl    %cl,%rax
   1dc2d:	or     %rax,%r11
   1dc30:	cmp    $0x200,%edx
   1dc36:	je     1dc4b <tz_near_scan+0x1ab>
   1dc38:	mov    $0xffffffffffffffff,%rax
   1dc3f:	mov    %r8d,%ecx
   1dc42:	shl    %cl,%rax
   1dc45:	not    %rax
   1dc48:	and    %rax,%r11
   1dc4b:	test   %r11,%r11
   1dc4e:	je     1dda0 <tz_near_scan+0x300>
   1dc54:	mov    %rsi,-0x58(%rbp)
   1dc58:	mov    %rbx,%r14
   1dc5b:	nopl   0x0(%rax,%rax,1)
   1dc60:	bsr    %r11,%rax
   1dc64:	mov    $0x3f,%ecx
   1dc69:	xor    $0x3f,%rax
   1dc6d:	sub    %eax,%ecx
   1dc6f:	mov    $0x1,%eax
   1dc74:	mov    (%r14,%rcx,8),%rdi
   1dc78:	shl    %cl,%rax
   1dc7b:	not    %rax
   1dc7e:	mov    %rdi,%rdx
   1dc81:	and    %rax,%r11
   1dc84:	sub    %r13,%rdx
   1dc87:	cmp    %r12,%rdx
   1dc8a:	jae    1ddf0 <tz_near_scan+0x350>
   1dc90:	mov    -0x38(%rbp),%rax
   1dc94:	shr    $0xd,%rdx
   1dc98:	movzbl (%rax,%rdx,1),%eax
   1dc9c:	sub    $0x1,%eax
   1dc9f:	cmp    $0xc8,%eax
   1dca4:	ja     1dd60 <tz_near_scan+0x2c0>
   1dcaa:	lea    (%rax,%rax,2),%rcx
   1dcae:	lea    (%r10,%rcx,4),%rsi
   1dcb2:	cmpb   $0x1,0xa(%rsi)
   1dcb6:	jne    1df30 <tz_near_scan+0x490>
   1dcbc:	mov    (%rsi),%ebx
   1dcbe:	mov    %rdi,%rcx
   1dcc1:	mov    0x4(%rsi),%esi
   1dcc4:	shl    $0x7,%rdx
   1dcc8:	and    $0x1fff,%ecx
   1dcce:	mov    $0x1,%r8d
   1dcd4:	imul   %rsi,%rcx
   1dcd8:	mov    -0x40(%rbp),%rsi
   1dcdc:	add    %rsi,%rdx
   1dcdf:	shr    $0x20,%rcx
   1dce3:	mov    %ecx,%esi
   1dce5:	shl    %cl,%r8
   1dce8:	and    $0x3f,%esi
   1dceb:	mov    %esi,-0x48(%rbp)
   1dcee:	mov    %rcx,%rsi
   1dcf1:	shr    $0x6,%rsi
   1dcf5:	shl    $0x4,%rsi
   1dcf9:	lea    (%rdx,%rsi,1),%r9
   1dcfd:	mov    (%r9),%r15
   1dd00:	test   %r15,%r8
   1dd03:	je     1dd60 <tz_near_scan+0x2c0>
   1dd05:	lea    0x8(%rdx,%rsi,1),%rdx
   1dd0a:	mov    (%rdx),%rsi
   1dd0d:	test   %rsi,%r8
   1dd10:	jne    1dd60 <tz_near_scan+0x2c0>
   1dd12:	cmpb   $0x0,-0x69(%rbp)
   1dd16:	je     1de08 <tz_near_scan+0x368>
   1dd1c:	or     %r8,0x8(%r9)
   1dd20:	lea    (%rax,%rax,2),%rax
   1dd24:	mov    %ebx,%edx
   1dd26:	add    %rdx,-0x50(%rbp)
   1dd2a:	cmpb   $0x1,0xb(%r10,%rax,4)
   1dd30:	je     1dd60 <tz_near_scan+0x2c0>
   1dd32:	imul   %ecx,%ebx
   1dd35:	and    $0xffffffffffffe000,%rdi
   1dd3c:	mov    -0x58(%rbp),%rax
   1dd40:	add    $0x8,%rax
   1dd44:	add    %rbx,%rdi
   1dd47:	prefetcht0 (%rdi)
   1dd4a:	or     $0x1,%rdi
   1dd4e:	mov    %rdi,-0x8(%rax)
   1dd52:	mov    %rax,-0x58(%rbp)
   1dd56:	cs nopw 0x0(%rax,%rax,1)
   1dd60:	test   %r11,%r11
   1dd63:	jne    1dc60 <tz_near_scan+0x1c0>
   1dd69:	mov    -0x58(%rbp),%r9
   1dd6d:	mov    -0x80(%rbp),%rbx
   1dd71:	addl   $0x1,-0x44(%rbp)
   1dd75:	add    %rbx,-0x60(%rbp)
   1dd79:	mov    -0x44(%rbp),%eax
   1dd7c:	mov    -0x70(%rbp),%ebx
   1dd7f:	cmp    %ebx,%eax
   1dd81:	jae    1dda0 <tz_near_scan+0x300>
   1dd83:	cmp    %r9,-0x68(%rbp)
   1dd87:	jb     1db5e <tz_near_scan+0xbe>
   1dd8d:	mov    -0x88(%rbp),%rbx
   1dd94:	mov    -0x90(%rbp),%r12
   1dd9b:	mov    %eax,%r15d
   1dd9e:	jmp    1ddb2 <tz_near_scan+0x312>
   1dda0:	mov    -0x88(%rbp),%rbx
   1dda7:	mov    -0x44(%rbp),%r15d
   1ddab:	mov    -0x90(%rbp),%r12
   1ddb2:	mov    -0x68(%rbp),%rdi
   1ddb6:	mov    %r9,%rax
   1ddb9:	sub    %rdi,%rax
   1ddbc:	sar    $0x3,%rax
   1ddc0:	mov    %rax,0x8(%rbx)
   1ddc4:	mov    -0x50(%rbp),%rax
   1ddc8:	add    %rax,0x8e0(%r12)
   1ddd0:	mov    -0x60(%rbp),%rax
   1ddd4:	add    %rax,0x8e8(%r12)
   1dddc:	add    $0x78,%rsp
   1dde0:	mov    %r15d,%eax
   1dde3:	pop    %rbx
   1dde4:	pop    %r12
   1dde6:	pop    %r13
   1dde8:	pop    %r14
   1ddea:	pop    %r15
   1ddec:	pop    %rbp
   1dded:	ret
   1ddee:	xchg   %ax,%ax
   1ddf0:	cmpl   $0x1,-0x94(%rbp)
   1ddf7:	jbe    1dd60 <tz_near_scan+0x2c0>
   1ddfd:	jmp    4e9a <tz_near_scan.cold>
   1de02:	nopw   0x0(%rax,%rax,1)
   1de08:	mov    -0x48(%rbp),%esi
   1de0b:	lock bts %rsi,(%rdx)
   1de10:	jae    1dd20 <tz_near_scan+0x280>
   1de16:	jmp    1dd60 <tz_near_scan+0x2c0>
   1de1b:	nopl   0x0(%rax,%rax,1)
   1de20:	lea    0x0(,%r8,8),%r11d
   1de28:	mov    %rsi,%r9
   1de2b:	add    %rbx,%r11
   1de2e:	cmp    %r11,%rbx
   1de31:	jae    1dd6d <tz_near_scan+0x2cd>
   1de37:	mov    %rsi,-0x58(%rbp)
   1de3b:	mov    %rbx,%r14
   1de3e:	xchg   %ax,%ax
   1de40:	mov    -0x8(%r11),%rdi
   1de44:	sub    $0x8,%r11
   1de48:	mov    %rdi,%rdx
   1de4b:	sub    %r13,%rdx
   1de4e:	cmp    %r12,%rdx
   1de51:	jae    4ec6 <tz_near_scan.cold+0x2c>
   1de57:	mov    -0x38(%rbp),%rax
   1de5b:	shr    $0xd,%rdx
   1de5f:	movzbl (%rax,%rdx,1),%eax
   1de63:	sub    $0x1,%eax
   1de66:	cmp    $0xc8,%eax
   1de6b:	ja     1df20 <tz_near_scan+0x480>
   1de71:	lea    (%rax,%rax,2),%rcx
   1de75:	lea    (%r10,%rcx,4),%rsi
   1de79:	cmpb   $0x1,0xa(%rsi)
   1de7d:	jne    1df60 <tz_near_scan+0x4c0>
   1de83:	mov    (%rsi),%ebx
   1de85:	mov    %rdi,%rcx
   1de88:	mov    0x4(%rsi),%esi
   1de8b:	shl    $0x7,%rdx
   1de8f:	and    $0x1fff,%ecx
   1de95:	mov    $0x1,%r8d
   1de9b:	imul   %rsi,%rcx
   1de9f:	mov    -0x40(%rbp),%rsi
   1dea3:	add    %rsi,%rdx
   1dea6:	shr    $0x20,%rcx
   1deaa:	mov    %ecx,%esi
   1deac:	shl    %cl,%r8
   1deaf:	and    $0x3f,%esi
   1deb2:	mov    %esi,-0x48(%rbp)
   1deb5:	mov    %rcx,%rsi
   1deb8:	shr    $0x6,%rsi
   1debc:	shl    $0x4,%rsi
   1dec0:	lea    (%rdx,%rsi,1),%r9
   1dec4:	mov    (%r9),%r15
   1dec7:	test   %r15,%r8
   1deca:	je     1df20 <tz_near_scan+0x480>
   1decc:	lea    0x8(%rdx,%rsi,1),%rdx
   1ded1:	mov    (%rdx),%rsi
   1ded4:	test   %rsi,%r8
   1ded7:	jne    1df20 <tz_near_scan+0x480>
   1ded9:	cmpb   $0x0,-0x69(%rbp)
   1dedd:	je     1df50 <tz_near_scan+0x4b0>
   1dedf:	or     %r8,0x8(%r9)
   1dee3:	lea    (%rax,%rax,2),%rax
   1dee7:	mov    %ebx,%edx
   1dee9:	add    %rdx,-0x50(%rbp)
   1deed:	cmpb   $0x1,0xb(%r10,%rax,4)
   1def3:	je     1df20 <tz_near_scan+0x480>
   1def5:	imul   %ecx,%ebx
   1def8:	and    $0xffffffffffffe000,%rdi
   1deff:	mov    -0x58(%rbp),%rax
   1df03:	add    $0x8,%rax
   1df07:	add    %rbx,%rdi
   1df0a:	prefetcht0 (%rdi)
   1df0d:	or     $0x1,%rdi
   1df11:	mov    %rdi,-0x8(%rax)
   1df15:	mov    %rax,-0x58(%rbp)
   1df19:	nopl   0x0(%rax)
   1df20:	cmp    %r11,%r14
   1df23:	jb     1de40 <tz_near_scan+0x3a0>
   1df29:	jmp    1dd69 <tz_near_scan+0x2c9>
   1df2e:	xchg   %ax,%ax
   1df30:	mov    -0x58(%rbp),%rax
   1df34:	and    $0xfffffffffffffff8,%rdi
   1df38:	mov    %rdi,(%rax)
   1df3b:	add    $0x8,%rax
   1df3f:	mov    %rax,-0x58(%rbp)
   1df43:	jmp    1dd60 <tz_near_scan+0x2c0>
   1df48:	nopl   0x0(%rax,%rax,1)
   1df50:	mov    -0x48(%rbp),%esi
   1df53:	lock bts %rsi,(%rdx)
   1df58:	jae    1dee3 <tz_near_scan+0x443>
   1df5a:	jmp    1df20 <tz_near_scan+0x480>
   1df5c:	nopl   0x0(%rax)
   1df60:	mov    -0x58(%rbp),%rax
   1df64:	and    $0xfffffffffffffff8,%rdi
   1df68:	mov    %rdi,(%rax)
   1df6b:	add    $0x8,%rax
   1df6f:	mov    %rax,-0x58(%rbp)
   1df73:	jmp    1df20 <tz_near_scan+0x480>
   1df75:	xor    %r15d,%r15d
   1df78:	jmp    1ddb2 <tz_near_scan+0x312>
   1df7d:	nopl   (%rax)

