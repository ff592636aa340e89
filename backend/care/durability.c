#include "care/durability.h"
#include "erasure/erasure.h"

#include <math.h>

#define YEAR_MS         (365.25 * 24 * 3600 * 1000)
#define SHARD_BYTES_MAX ((double)(64u << 20))

/* What is known before anything was seen, as if it had been seen: a drive in
 * 50 lost each year, one shard damaged at every verification of 10^15
 * bits (what makers of drives state of sectors), one shard rebuilt after a
 * day. */
#define PRIOR_DRIVE_YEARS  50.0
#define PRIOR_DRIVE_LOSSES 1.0
#define PRIOR_BYTES        1.25e14
#define PRIOR_DAMAGES      1.0
#define PRIOR_REPAIR_MS    (24.0 * 3600 * 1000)
#define PRIOR_REPAIRS      1.0

/* --- the model -------------------------------------------------------------*/
static double choose(unsigned n, unsigned of)
{
    double ways = 1;

    for (unsigned i = 1; i <= of; i++) {
        ways = ways * (n - of + i) / i;
    }
    return ways;
}

/*
 * Each of n shards is out a share u of the time. The chunk is lost when one
 * goes while m others are out: n ways to be the one, C(n-1, m) the others.
 */
double durability_losses(const struct durability_rates *rates, unsigned k,
                         unsigned m)
{
    const unsigned n = k + m;
    double out = rates->drive_losses * rates->repair +
                 rates->damages * (rates->repair + rates->scrub / 2);

    if (!(out < 1)) {
        out = 1;
    }
    return n * choose(n - 1, m) * (rates->drive_losses + rates->damages) *
           pow(out, m);
}

double durability_nines(double losses)
{
    return 0 - log10(-expm1(-losses)); /* not -0 */
}

/* --- rates from counts -----------------------------------------------------*/
/* The mean of a Poisson distribution that gives so few or fewer in one case of
 * twenty (Wilson and Hilferty's approximation, good to 1 %). */
static double at_most(double count)
{
    const double n = count + 1;
    const double root = 1 - 1 / (9 * n) + 1.645 / (3 * sqrt(n));

    return n * root * root * root;
}

static double years(double ms)
{
    return ms / YEAR_MS;
}

/* Of one shard of the mean size that was verified. */
static double damages(double per_byte_year, const Meta__Audit *seen)
{
    return per_byte_year *
           (seen->shards_verified > 0
                ? (double)seen->bytes_verified / (double)seen->shards_verified
                : SHARD_BYTES_MAX);
}

/* What a pass verifies is there all the time. */
static double byte_years(const Meta__Audit *seen)
{
    const double passes = seen->passes > 0 ? (double)seen->passes : 1;

    return (double)seen->bytes_verified / passes *
           years((double)seen->watched_ms);
}

static void rates_of_time(const Meta__Audit *seen,
                          const struct durability_setting *setting,
                          struct durability_rates *rates)
{
    const double settled =
        (double)seen->blobs_settled + (double)setting->queued;

    rates->repair = years(((double)seen->reduced_blob_ms + PRIOR_REPAIR_MS) /
                          (settled + PRIOR_REPAIRS));
    rates->scrub = years(seen->passes > 0 && seen->watched_ms > 0
                             ? (double)seen->watched_ms / (double)seen->passes
                             : (double)setting->scrub_period_ms);
}

void durability_of(const Meta__Audit *seen,
                   const struct durability_setting *setting,
                   struct durability *durability)
{
    const double drive_years = years((double)seen->drive_ms);
    const double lost = (double)seen->drives_lost;
    const double stored = byte_years(seen);
    const double prior = PRIOR_BYTES * years((double)setting->scrub_period_ms);
    const double damaged = (double)seen->shards_damaged;
    struct durability_rates *likely = &durability->likely;
    struct durability_rates *worst = &durability->worst;

    durability->seen = *seen;
    rates_of_time(seen, setting, likely);
    *worst = *likely;
    likely->drive_losses =
        (lost + PRIOR_DRIVE_LOSSES) / (drive_years + PRIOR_DRIVE_YEARS);
    likely->damages =
        damages((damaged + PRIOR_DAMAGES) / (stored + prior), seen);
    worst->drive_losses = at_most(lost) / drive_years;
    worst->damages = damages(at_most(damaged) / stored, seen);
    for (unsigned i = 0; i < DURABILITY_PROFILES; i++) {
        const struct erasure_profile profile =
            erasure_default(setting->drives, i == 0);
        struct durability_profile *of = &durability->profiles[i];

        of->k = profile.k;
        of->m = profile.m;
        of->nines = durability_nines(durability_losses(likely, of->k, of->m));
        of->nines_at_least =
            durability_nines(durability_losses(worst, of->k, of->m));
    }
}
