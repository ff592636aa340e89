/*
 * How likely a blob is lost within a year, from what was audited.
 *
 * The model and what it leaves out: docs/durability.md, 'Measured durability'.
 * Pure functions of their arguments.
 */
#ifndef CARE_DURABILITY_H
#define CARE_DURABILITY_H

#include "meta/meta.h"

/* Per year, or in years. */
struct durability_rates {
    double drive_losses; /* of one drive */
    double damages;      /* of one shard on a drive that is there */
    double repair;       /* from finding a shard bad to having it rebuilt */
    double scrub;        /* between two verifications of a shard */
};

/* Chunks lost a year, of one chunk of k + m shards on as many drives. */
double durability_losses(const struct durability_rates *rates, unsigned k,
                         unsigned m);
/* How many nines the probability has that it is there after a year. */
double durability_nines(double losses);

/* What audits do not say. */
struct durability_setting {
    unsigned drives;
    uint64_t scrub_period_ms;
    uint64_t queued; /* blobs that are short now */
};

#define DURABILITY_PROFILES 2

struct durability {
    unsigned days;    /* the interval that was asked for */
    Meta__Audit seen; /* in it */
    /* What was seen, tempered by what is known of drives in general; and the
     * worst that it does not exclude (95 %), of itself alone. */
    struct durability_rates likely, worst;
    struct durability_profile {
        unsigned k, m;
        double nines, nines_at_least; /* by `likely` and by `worst` */
    } profiles[DURABILITY_PROFILES];  /* of small objects, and of large ones */
};
/* All but `days`. */
void durability_of(const Meta__Audit *seen,
                   const struct durability_setting *setting,
                   struct durability *durability);

#endif
