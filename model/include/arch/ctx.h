// SPDX-License-Identifier: BSD-3-Clause
// model/include/arch/ctx.h: switches as the explored sources see them. A saved
// context is plain data: who resumes it must know that it was saved.
#ifndef MODEL_ARCH_CTX_H
#define MODEL_ARCH_CTX_H

#include_next "arch/ctx.h"

void model_touch(const void *p, size_t size, bool write);

TZ_INLINE void model_ctx_switch(struct tz_ctx *from, const struct tz_ctx *to)
{
    model_touch(from, sizeof *from, true);
    model_touch(to, sizeof *to, false);
    tz_ctx_switch(from, to);
}
#ifndef MODEL_INNER_H
#define tz_ctx_switch model_ctx_switch
#endif

#endif
