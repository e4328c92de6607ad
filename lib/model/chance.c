/* SPDX-License-Identifier: Apache-2.0 */
#include "lib/model/chance.h"

#include <math.h>

#define CHANCE_EXACT_EVENTS 1000000
/* The fraction needs about sqrt(max(a, b)) steps (Numerical Recipes 6.4): 1000 at the limit. */
#define CHANCE_STEPS 10000

/* Keeps Lentz's two recurrences away from a division by zero. */
static double chance_not_zero(double x)
{
	return fabs(x) < 1e-300 ? 1e-300 : x;
}

/* The continued fraction of DLMF 8.17.22 by Lentz's method; fast for x < (a+1)/(a+b+2). */
static double chance_beta_fraction(double x, double a, double b)
{
	double c = 1, d = 1 / chance_not_zero(1 - (a + b) * x / (a + 1)), value = d;

	for (int m = 1; m <= CHANCE_STEPS; m++) {
		double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
		double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
		double change;

		d = 1 / chance_not_zero(1 + even * d);
		c = chance_not_zero(1 + even / c);
		value *= c * d;
		d = 1 / chance_not_zero(1 + odd * d);
		c = chance_not_zero(1 + odd / c);
		change = c * d;
		value *= change;
		if (fabs(change - 1) < 1e-12)
			break;
	}
	return value;
}

/* I_x(a, b) */
static double chance_beta(double x, double a, double b)
{
	int sign;
	double front;

	if (x <= 0 || x >= 1)
		return x >= 1;
	front = exp(lgamma_r(a + b, &sign) - lgamma_r(a, &sign) - lgamma_r(b, &sign) + a * log(x) +
		    b * log1p(-x));
	if (x < (a + 1) / (a + b + 2))
		return front * chance_beta_fraction(x, a, b) / a;
	return 1 - front * chance_beta_fraction(1 - x, b, a) / b;
}

double chance_share_above(uint64_t good, uint64_t bad, double limit_ratio)
{
	double a = (double)bad + 1, b = (double)good + 1, above;

	if (a + b > CHANCE_EXACT_EVENTS) {
		double mean = a / (a + b), deviation = sqrt(mean * (1 - mean) / (a + b + 1));

		above = 0.5 * erfc((limit_ratio - mean) / (deviation * M_SQRT2));
	} else {
		above = 1 - chance_beta(limit_ratio, a, b);
	}
	return fmin(fmax(above, 0), 1);
}
