/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An application that becomes another program, again and again: observes COUNT times, starts a
 * program of its own by posix_spawn() (a vfork() and an exec), observes COUNT times more, and then
 * takes its own place by exec with one generation less; generation 0 observes COUNT times and ends.
 *
 *	successor SERVICE ROUTE COUNT GENERATIONS
 *
 * The process that was started thus observes (3 * GENERATIONS + 1) * COUNT times with all that came
 * of it, under one process id and in GENERATIONS + 1 segments.
 */
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vow/vow.h>

extern char **environ;

static void observe(vow_id route, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		vow_observe(route, 1000000 + i, 200);
}

/* A whole life of generation 0 in a child. */
static int spawn_last(char **argv)
{
	char none[] = "0";
	char *last[] = {argv[0], argv[1], argv[2], argv[3], none, NULL};
	pid_t child;
	int status;

	if (posix_spawn(&child, argv[0], NULL, NULL, last, environ) != 0)
		return -1;
	return waitpid(child, &status, 0) == child && status == 0 ? 0 : -1;
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "successor SERVICE ROUTE COUNT GENERATIONS\n");
		return 2;
	}
	uint64_t count = strtoull(argv[3], NULL, 10);
	unsigned generations = (unsigned)strtoul(argv[4], NULL, 10);
	if (vow_open(argv[1])) {
		fprintf(stderr, "successor: cannot start\n");
		return 1;
	}
	vow_id route = vow_route(argv[2]);
	observe(route, count);
	if (generations == 0)
		return 0;
	if (spawn_last(argv) < 0) {
		fprintf(stderr, "successor: its child did not end well\n");
		return 1;
	}
	observe(route, count);
	char fewer[16];
	snprintf(fewer, sizeof(fewer), "%u", generations - 1);
	char *next[] = {argv[0], argv[1], argv[2], argv[3], fewer, NULL};
	execv(argv[0], next);
	perror("successor");
	return 1;
}
