/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program with one fault that does no harm and that a sanitizer must report; its test sees whether
 * a report is heard whatever becomes of the program.
 *
 *	faulty leak|overflow|race
 */
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int shared;

static void leak(void)
{
	void *volatile lost = malloc(100);

	lost = NULL;
	(void)lost;
}

static void overflow(void)
{
	volatile int most = INT_MAX;

	most = most + 1;
}

static void *add_one(void *unused)
{
	(void)unused;
	shared++;
	return NULL;
}

static void race(void)
{
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		if (pthread_create(&threads[i], NULL, add_one, NULL))
			exit(2);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*commit)(void);
	} faults[] = {{"leak", leak}, {"overflow", overflow}, {"race", race}};

	for (size_t i = 0; argc == 2 && i < sizeof(faults) / sizeof(faults[0]); i++)
		if (strcmp(argv[1], faults[i].name) == 0) {
			faults[i].commit();
			return 0;
		}
	fprintf(stderr, "faulty leak|overflow|race\n");
	return 2;
}
