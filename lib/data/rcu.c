/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/data/rcu.h"

#include <stdbool.h>
#include <urcu/urcu-memb.h>

/*
 * ThreadSanitizer cannot see into liburcu's library nor through membarrier(2), so it is told what
 * they promise: the end of a section happens before the return of the wait that waited for it.
 */
#if defined(__SANITIZE_THREAD__)
#define RCU_TSAN 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define RCU_TSAN 1
#endif
#endif
#ifdef RCU_TSAN
void __tsan_acquire(void *address);
void __tsan_release(void *address);
static char rcu_sections;
#define section_ended() __tsan_release(&rcu_sections)
#define sections_seen() __tsan_acquire(&rcu_sections)
#else
#define section_ended() ((void)0)
#define sections_seen() ((void)0)
#endif

static _Thread_local bool registered;

void rcu_thread_register(void)
{
	if (registered)
		return;
	urcu_memb_register_thread();
	registered = true;
}

void rcu_thread_unregister(void)
{
	if (!registered)
		return;
	urcu_memb_unregister_thread();
	registered = false;
}

void rcu_enter(void)
{
	urcu_memb_read_lock();
}

void rcu_leave(void)
{
	section_ended();
	urcu_memb_read_unlock();
}

void rcu_wait(void)
{
	urcu_memb_synchronize_rcu();
	sections_seen();
}
