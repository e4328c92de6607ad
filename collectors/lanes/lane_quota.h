/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much memory segments may take. A segment is mostly holes; whoever touches one first, a writer or
 * the agent that looks where a writer said there is something, makes a page of it. So a few claims
 * could make the agent fill all of it. Pure.
 */
#ifndef VOW_COLLECTORS_LANE_QUOTA_H
#define VOW_COLLECTORS_LANE_QUOTA_H

#include <stdint.h>
#include <sys/types.h>

/*
 * 64 grown lanes and 4096 overflow blocks of a few pages each come to 100 MiB, which no application
 * that is used sensibly gets near: 0.3 to 2 MiB are common.
 */
#define LANE_QUOTA_SEGMENT (UINT64_C(128) << 20)
#define LANE_QUOTA_USER	   (UINT64_C(2) << 30) /* 512 segments of 4 MiB */

/*
 * Of all applications, by one user. It bounds what a user can make the agent map (371 MiB of address space
 * each, nearly all of it holes that belong to the user) and look through, and leaves places for
 * the others. A user is who made the memfd, which a process cannot choose.
 */
#define LANE_QUOTA_USER_APPS 512u
#define LANE_QUOTA_APPS	     960u /* of all users */

struct lane_use {
	uid_t user; /* who made the segment */
	uint64_t bytes; /* of memory that it takes */
};

/*
 * Which of `count` segments is to be let go: one that takes more than a segment may, else the largest
 * of a user whose segments together take more than a user's may. -1: none.
 */
int lane_quota_excess(const struct lane_use *uses, unsigned count);

#endif
