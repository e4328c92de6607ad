/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The door to liburcu (memb flavour: read-side sections are plain stores, the writer's
 * membarrier(2) pays). Only the series table goes through it. A reader sees what was published
 * before its rcu_fetch(); what a writer has unpublished may be freed after rcu_wait().
 */
#ifndef VOW_LIB_DATA_RCU_H
#define VOW_LIB_DATA_RCU_H

/* Each reading thread: before its first section, and after its last. May be called again. */
void rcu_thread_register(void);
void rcu_thread_unregister(void);

/* A section; may nest. Never blocks; inside, don't block either: rcu_wait() waits for its end. */
void rcu_enter(void);
void rcu_leave(void);

/* Returns when every section that was open at the call has ended. Not inside a section. */
void rcu_wait(void);

/*
 * Publishing is a release store, fetching an acquire load; they are each other's partners.
 * Acquire and not consume: compilers treat consume as acquire, and on x86 it costs nothing.
 */
#define rcu_publish(place, value) __atomic_store_n(&(place), (value), __ATOMIC_RELEASE)
#define rcu_fetch(place)	  __atomic_load_n(&(place), __ATOMIC_ACQUIRE)

#endif
