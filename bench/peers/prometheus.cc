/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The prometheus-cpp peer of bench_foreign.py: prints the ns that one observation into a histogram
 * of its eleven usual buckets costs, from as many threads as its argument says.
 */
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <prometheus/histogram.h>
#include <thread>
#include <vector>

static double measure(prometheus::Histogram &histogram)
{
	double least = 1e300;

	for (int round = 0; round < 400; round++) {
		auto start = std::chrono::steady_clock::now();

		for (int i = 0; i < 1000; i++)
			histogram.Observe(0.001 + i * 1e-9);
		std::chrono::duration<double, std::nano> took =
			std::chrono::steady_clock::now() - start;
		least = std::min(least, took.count() / 1000);
	}
	return least;
}

int main(int argc, char **argv)
{
	unsigned threads = argc > 1 ? (unsigned)atoi(argv[1]) : 1;
	prometheus::Histogram histogram(prometheus::Histogram::BucketBoundaries{
		.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10});
	std::vector<double> ns(threads);
	std::vector<std::thread> workers;

	for (unsigned i = 0; i < threads; i++)
		workers.emplace_back([&, i] { ns[i] = measure(histogram); });
	for (auto &worker : workers)
		worker.join();
	std::printf("%.3f\n", *std::max_element(ns.begin(), ns.end()));
	return 0;
}
