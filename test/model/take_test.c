// SPDX-License-Identifier: BSD-3-Clause
// test: first timeout=600
// test/model/take_test.c: a goroutine whose P is taken in a handler runs on
// without one. It stops with the world, others get its P, and at its next
// critical section it has one again, on the same thread. Tied goroutines, too.
//
// A signal is a call of the handler's function by the goroutine itself, at a
// step of its code; what a handler that is to stop does is done by deliver().
// Sleeps that a later look only mends last until they are woken (os.c).

#include "model/scheduler.h"
#include "sched.h"
#include "os/sig.h"
#include "tuza/thread.h"

static int stopped; // the world is, says who stops it
static int users;   // goroutines that run code of their own
static int stops;   // so far
static int ran, lost;
static int data;    // of the goroutines; read while the world is stopped
static char regs[8];
static struct tz_p *used_by[4]; // Ps in which a goroutine runs its own code

static struct tz_sigctx context(void)
{
    return (struct tz_sigctx){ .sp = tz_getg()->stack.hi - 256,
                               .regs = regs,
                               .regs_size = sizeof regs };
}

// What the handler does when the stop signal comes just now (preempt.c).
static void deliver(void)
{
    struct tz_tls *t = tz_tls_get();
    model_need(t->locks == 0);
    if (t->p || tz_load(&tz_getm()->nop) != TZ_NOP_ASKED)
        return;
    struct tz_sigctx c = context();
    tz_take_stop(t, &c);
    model_need(t->m->stop_sp == 0 && t->m->stop_regs == NULL);
}

// The handler takes the P, as sysmon has asked.
static void lose_p(void)
{
    struct tz_tls *t = tz_tls_get();
    struct tz_sigctx c = context();
    model_need(t->p && t->locks == 0);
    tz_take_here(t, &c, NULL);
    model_need(!t->p && t->taken && t->locks == 0);
    lost++;
}

// The goroutine's own code, with or without a P; nobody else has its P.
static void user_code(const char *what)
{
    struct tz_p *p = tz_tls_get()->p;
    model_need(!stopped);
    if (p) {
        model_need(p->m == tz_getm() && tz_getm()->p == p);
        model_need(tz_load_rlx(&p->status) == TZ_P_RUNNING);
        model_need(!used_by[p->id]);
        used_by[p->id] = p;
    } else {
        model_need(tz_load_rlx(&tz_getg()->status) == TZ_G_NO_P);
    }
    users++;
    model_touch(&data, sizeof data, false);
    model_step(what);
    model_need(!stopped);
    users--;
    if (p)
        used_by[p->id] = NULL;
    else
        deliver();
}

static void user_code_until(const int *flag)
{
    while (!*flag) {
        model_need(!stopped);
        deliver();
        model_yield();
    }
}

// Any call of the runtime; polls for a stop as well.
static void use_runtime(void)
{
    tz_crit_enter();
    model_need(tz_tls_get()->p && tz_getm()->nop == TZ_NOP_NONE);
    model_need(tz_load_rlx(&tz_getg()->status) == TZ_G_RUNNING);
    tz_crit_leave();
}

// The same thread all along, though the P may be another.
static void lose_p_and_take_it_back(void)
{
    uint32_t thread = model_self();
    lose_p();
    user_code("without a P");
    use_runtime();
    model_need(model_self() == thread && !tz_getg()->tied_to);
    user_code("with a P again");
}

static void all_is_in_place(void)
{
    all_have_run();
    model_need(tz_sched.nops == 0 && tz_sched.busy_takers == 0);
    model_need(tz_sched.nmtied == 0 && tz_sched.resuming == 0);
    for (struct tz_m *m = tz_sched.allm; m; m = m->alllink)
        model_need(m->nop == TZ_NOP_NONE && !m->tied && !m->stop_sp);
}

static void explore_taken(const char *name, void (*setup)(void),
                          void (*body)(void *), int goroutines,
                          uint32_t preemptions, uint32_t stale)
{
    model_patient = true;
    explore_with(NULL, all_is_in_place, name, setup, body, goroutines,
                 preemptions, stale);
}

static void look_at_takers(void *arg)
{
    (void)arg;
    model_need(!stopped && users == 0);
    stopped = 1;
    model_touch(&data, sizeof data, true);
    for (uint32_t i = 0; i < tz_sched.nallp; i++)
        model_need(tz_load_rlx(&tz_sched.allp[i]->status) == TZ_P_STOPPED);
    // What a collector reads of those without a P.
    for (struct tz_m *m = tz_load_acq(&tz_sched.allm); m; m = m->alllink) {
        struct tz_g *g = tz_load_acq(&m->curg);
        if (!g || tz_load_acq(&g->status) != TZ_G_NO_P)
            continue;
        model_touch(&m->stop_sp, sizeof m->stop_sp, false);
        model_touch(&m->stop_regs, sizeof m->stop_regs, false);
        model_need(m->stop_sp != 0);
        model_need(tz_load_acq(&m->nop) != TZ_NOP_STOPPED ||
                   m->stop_regs == regs);
    }
    model_step("the world is stopped");
    model_need(users == 0);
    stopped = 0;
    stops++;
}

static void stop_once(void)
{
    tz_world_call(look_at_takers, NULL);
}

// --- a stop of the world

static void taken_once(void *arg)
{
    (void)arg;
    user_code("with a P");
    lose_p_and_take_it_back();
    end_of_goroutine();
}

static void stop_and_taken(void *arg)
{
    (void)arg;
    spawn_one(taken_once);
    stop_once();
    user_code("has stopped the world");
    end_of_goroutine();
}

START_TEST(nobody_without_a_p_runs_while_the_world_is_stopped)
{
    explore_taken("a stop and a P that is taken, late loads", make_two_ps,
                  stop_and_taken, 2, 1, 1);
    explore_taken("a stop and a P that is taken", make_two_ps, stop_and_taken,
                  2, 2, 0);
}
END_TEST

// It computes without a P until the stop is over: it has to be asked.
static void taken_over_stop(void *arg)
{
    (void)arg;
    lose_p();
    user_code_until(&stops);
    user_code("after the stop");
    use_runtime();
    user_code("with a P again");
    end_of_goroutine();
}

static void stop_over_taken(void *arg)
{
    (void)arg;
    spawn_one(taken_over_stop);
    busy_until(&lost);
    stop_once();
    user_code("has stopped the world");
    end_of_goroutine();
}

START_TEST(one_that_computes_without_a_p_is_asked_to_stop)
{
    explore_taken("a stop over one without a P, late loads", make_two_ps,
                  stop_over_taken, 2, 1, 1);
    explore_taken("a stop over one without a P", make_two_ps, stop_over_taken,
                  2, 2, 0);
}
END_TEST

// The stop sleeps already when the P is let go, or when the signal comes.
static void taken_late(void *arg)
{
    (void)arg;
    ran = 1;
    model_sleep_for(200000);
    lose_p_and_take_it_back();
    end_of_goroutine();
}

static void stop_before_taken(void *arg)
{
    (void)arg;
    spawn_one(taken_late);
    busy_until(&ran);
    stop_once();
    end_of_goroutine();
}

static void asked_late(void *arg)
{
    (void)arg;
    lose_p();
    model_sleep_for(200000);
    user_code("without a P");
    use_runtime();
    end_of_goroutine();
}

static void stop_before_signal(void *arg)
{
    (void)arg;
    spawn_one(asked_late);
    busy_until(&lost);
    stop_once();
    end_of_goroutine();
}

START_TEST(a_stop_that_sleeps_is_woken_by_one_without_a_p)
{
    explore_taken("a stop that sleeps, and a P that is taken", make_two_ps,
                  stop_before_taken, 2, 1, 0);
    explore_taken("a stop that sleeps, and a signal", make_two_ps,
                  stop_before_signal, 2, 1, 0);
}
END_TEST

// As an attached thread at the end of a call: no gate is passed.
static void lets_go(void *arg)
{
    (void)arg;
    struct tz_tls *t = tz_tls_get();
    user_code("with a P");
    t->locks++;
    tz_let_go(t);
    t->locks--;
    user_code("without a P");
    use_runtime();
    user_code("with a P again");
    end_of_goroutine();
}

static void stop_and_lets_go(void *arg)
{
    (void)arg;
    spawn_one(lets_go);
    stop_once();
    end_of_goroutine();
}

START_TEST(one_that_lets_its_p_go_stops_with_the_world)
{
    explore_taken("a stop and a P that is let go", make_two_ps,
                  stop_and_lets_go, 2, 2, 0);
}
END_TEST

// Two stops after each other: who was stopped last gets on its way between.
static void taken_over_stops(void *arg)
{
    (void)arg;
    static const char *const what[] = { "1", "2", "3" };
    lose_p();
    for (int i = 0; i < 3; i++)
        user_code(what[i]);
    use_runtime();
    end_of_goroutine();
}

static void stop_twice(void *arg)
{
    (void)arg;
    spawn_one(taken_over_stops);
    busy_until(&lost);
    stop_once();
    stop_once();
    end_of_goroutine();
}

START_TEST(one_without_a_p_goes_on_between_two_stops)
{
    explore_taken("two stops over one without a P", make_two_ps, stop_twice, 2,
                  1, 0);
}
END_TEST

// It loses its P again and again while another stops the world.
static void taken_twice(void *arg)
{
    (void)arg;
    lose_p_and_take_it_back();
    lose_p_and_take_it_back();
    end_of_goroutine();
}

static void stop_and_taken_twice(void *arg)
{
    (void)arg;
    spawn_one(taken_twice);
    stop_once();
    end_of_goroutine();
}

START_TEST(a_p_is_taken_twice_beside_a_stop)
{
    explore_taken("a stop and a P that is taken twice", make_two_ps,
                  stop_and_taken_twice, 2, 1, 0);
}
END_TEST

// --- others that get the P

// As sysmon, which takes each P that is let go: gives it to others at once.
static void take_let_go(void)
{
    tz_tls_get()->locks++;
    while (ended < expected) {
        for (uint32_t i = 0; i < tz_sched.nallp; i++) {
            struct tz_p *p = tz_sched.allp[i];
            if (tz_load_acq(&p->status) == TZ_P_SYSCALL &&
                !tz_load(&tz_sched.stopping))
                tz_pass_on(p);
        }
        model_yield();
    }
}

static void explore_taker(const char *name, void (*setup)(void),
                          void (*body)(void *), int goroutines,
                          uint32_t preemptions, uint32_t stale)
{
    model_patient = true;
    explore_with(take_let_go, all_is_in_place, name, setup, body, goroutines,
                 preemptions, stale);
}

static void child(void *arg)
{
    (void)arg;
    user_code("the child's code");
    ran = 1;
    end_of_goroutine();
}

// Another runs on the P meanwhile, or has, or will.
static void taken_with_child(void *arg)
{
    (void)arg;
    spawn_one(child);
    lose_p_and_take_it_back();
    end_of_goroutine();
}

START_TEST(one_whose_p_others_have_gets_it_back)
{
    explore_taker("a P that another has", make_one_p, taken_with_child, 2, 2, 0);
    explore_taker("a P that another has, late loads", make_one_p,
                  taken_with_child, 2, 1, 1);
    explore_taker("two Ps, one of which is taken", make_two_ps,
                  taken_with_child, 2, 1, 0);
}
END_TEST

// The P that is taken runs the other, for which it computes.
static void taken_until_child_ran(void *arg)
{
    (void)arg;
    spawn_one(child);
    lose_p();
    user_code_until(&ran);
    use_runtime();
    user_code("with a P again");
    end_of_goroutine();
}

START_TEST(the_p_that_is_taken_runs_others)
{
    explore_taker("a P taken for another", make_one_p, taken_until_child_ran, 2,
                  2, 0);
}
END_TEST

START_TEST(sysmon_gives_the_p_to_others)
{
    explore_taken("a P taken, and sysmon", with_sysmon, taken_until_child_ran,
                  2, 1, 0);
}
END_TEST

// Two lose the one P; each may get what the other lets go.
static void second_taken(void *arg)
{
    (void)arg;
    lose_p_and_take_it_back();
    end_of_goroutine();
}

static void two_taken(void *arg)
{
    (void)arg;
    spawn_one(second_taken);
    lose_p_and_take_it_back();
    end_of_goroutine();
}

START_TEST(two_that_lose_one_p_both_get_it_back)
{
    explore_taker("two lose one P", make_one_p, two_taken, 2, 2, 0);
}
END_TEST

// A declared call lets go of the same P.
static void calling_child(void *arg)
{
    (void)arg;
    user_code("the child's code");
    tuza_syscall_enter();
    model_step("the child's call");
    tuza_syscall_exit();
    user_code("the child's code after its call");
    end_of_goroutine();
}

static void taken_and_call(void *arg)
{
    (void)arg;
    spawn_one(calling_child);
    lose_p_and_take_it_back();
    end_of_goroutine();
}

START_TEST(one_that_lost_its_p_and_one_in_a_call)
{
    explore_taker("a P taken and a call", make_one_p, taken_and_call, 2, 2, 0);
}
END_TEST

// Its next call of the runtime is a declared call.
static void taken_then_calls(void *arg)
{
    (void)arg;
    lose_p();
    user_code("without a P");
    tuza_syscall_enter();
    model_step("in the call");
    tuza_syscall_exit();
    user_code("after the call");
    end_of_goroutine();
}

static void stop_and_taken_call(void *arg)
{
    (void)arg;
    spawn_one(taken_then_calls);
    stop_once();
    end_of_goroutine();
}

START_TEST(one_that_lost_its_p_makes_a_call_beside_a_stop)
{
    explore_taken("a P taken before a call, and a stop", make_two_ps,
                  stop_and_taken_call, 2, 1, 0);
}
END_TEST

// What it has for itself alone another wants, who keeps its thread for that.
static void waits_for_owner(void *arg)
{
    (void)arg;
    tz_give_way();
    while (!ran) { // asleep outside of the runtime
        deliver();
        model_yield();
    }
    user_code("has what it waited for");
    use_runtime();
    end_of_goroutine();
}

static void owner_taken(void *arg)
{
    (void)arg;
    spawn_one(waits_for_owner);
    lose_p();
    use_runtime();
    ran = 1;
    end_of_goroutine();
}

static void owner_taken_beside_child(void *arg)
{
    spawn_one(taken_once);
    owner_taken(arg);
}

// Both wait in the global queue, the waiter first: then it has the P, whose ring
// the owner is in.
static void waits_after_taken(void *arg)
{
    lose_p();
    use_runtime();
    waits_for_owner(arg);
}

static void both_taken_beside_child(void *arg)
{
    (void)arg;
    spawn_one(taken_once);
    spawn_one(waits_after_taken);
    lose_p();
    user_code("without a P");
    use_runtime();
    ran = 1;
    end_of_goroutine();
}

START_TEST(an_owner_that_lost_its_p_gets_that_of_who_waits_for_it)
{
    explore_taker("an owner is taken", make_one_p, owner_taken, 2, 1, 0);
    explore_taker("an owner is taken, late loads", make_one_p, owner_taken, 2,
                  1, 1);
    explore_taker("an owner is taken, and a third", make_one_p,
                  owner_taken_beside_child, 3, 1, 0);
    explore_taker("an owner and who waits are taken", make_one_p,
                  both_taken_beside_child, 3, 1, 0);
}
END_TEST

static void stop_beside_waiter(void *arg)
{
    (void)arg;
    spawn_one(waits_for_owner);
    spawn_one(child);
    stop_once();
    end_of_goroutine();
}

START_TEST(one_that_gives_way_stops_with_the_world)
{
    explore_taken("a stop and one that gives way", make_two_ps,
                  stop_beside_waiter, 3, 1, 0);
}
END_TEST

// --- tied goroutines

static void tied_yields(void *arg)
{
    (void)arg;
    uint32_t thread = model_self();
    tuza_lock_thread();
    spawn_one(child);
    tuza_yield();
    model_need(model_self() == thread);
    user_code("on the same thread");
    tuza_yield();
    model_need(model_self() == thread);
    tuza_unlock_thread();
    end_of_goroutine();
}

START_TEST(one_that_is_tied_runs_on_its_thread)
{
    explore_taken("a tied one yields", make_one_p, tied_yields, 2, 2, 0);
    explore_taken("a tied one yields, late loads", make_one_p, tied_yields, 2,
                  1, 1);
    explore_taken("a tied one yields, two Ps", make_two_ps, tied_yields, 2, 1,
                  0);
}
END_TEST

int main(void)
{
    return model_tests(
        "take", (const TTest *const[]){
                    nobody_without_a_p_runs_while_the_world_is_stopped,
                    one_that_computes_without_a_p_is_asked_to_stop,
                    a_stop_that_sleeps_is_woken_by_one_without_a_p,
                    one_that_lets_its_p_go_stops_with_the_world,
                    one_without_a_p_goes_on_between_two_stops,
                    a_p_is_taken_twice_beside_a_stop,
                    one_whose_p_others_have_gets_it_back,
                    the_p_that_is_taken_runs_others,
                    sysmon_gives_the_p_to_others,
                    two_that_lose_one_p_both_get_it_back,
                    one_that_lost_its_p_and_one_in_a_call,
                    one_that_lost_its_p_makes_a_call_beside_a_stop,
                    an_owner_that_lost_its_p_gets_that_of_who_waits_for_it,
                    one_that_gives_way_stops_with_the_world,
                    one_that_is_tied_runs_on_its_thread, NULL });
}
