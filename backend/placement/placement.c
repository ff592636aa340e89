#include "placement/placement.h"

#include <errno.h>

/* Shards placed together; the candidates chosen so far are searched linearly,
 * which for this many is cheaper than any table. */
#define CHOSEN_MAX 64u

/* SplitMix64 (Steele, Lea, Flood): any state is a good one. */
static uint64_t random_next(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15ull;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static size_t random_below(uint64_t *state, size_t bound)
{
    return (size_t)(((unsigned __int128)random_next(state) * bound) >> 64);
}

/* Lower is better: operations in flight, weighted by how full the drive is,
 * so that idle drives fill evenly and a busy one is left alone. */
static double cost(const struct placement_candidate *candidate)
{
    double free_share =
        ((double)candidate->free + 1) / ((double)candidate->total + 1);

    return ((double)candidate->load + 1) / free_share;
}

struct choice {
    const struct placement_candidate *candidates;
    size_t n;
    size_t chosen[CHOSEN_MAX]; /* positions in candidates */
    unsigned count;
};

static bool is_chosen(const struct choice *choice, size_t position)
{
    for (unsigned i = 0; i < choice->count; i++) {
        if (choice->candidates[choice->chosen[i]].drive ==
            choice->candidates[position].drive) {
            return true;
        }
    }
    return false;
}

static unsigned domain_shards(const struct choice *choice, size_t position)
{
    unsigned shards = 0;

    for (unsigned i = 0; i < choice->count; i++) {
        shards += choice->candidates[choice->chosen[i]].domain ==
                  choice->candidates[position].domain;
    }
    return shards;
}

/* Counts the free candidates of the domains with the fewest shards; *fewest is
 * that number of shards. */
static size_t count_eligible(const struct choice *choice, unsigned *fewest)
{
    size_t eligible = 0;

    *fewest = UINT32_MAX;
    for (size_t i = 0; i < choice->n; i++) {
        unsigned shards;

        if (is_chosen(choice, i)) {
            continue;
        }
        shards = domain_shards(choice, i);
        if (shards < *fewest) {
            *fewest = shards;
            eligible = 0;
        }
        eligible += shards == *fewest;
    }
    return eligible;
}

/* The position of the wanted-th eligible candidate. */
static size_t nth_eligible(const struct choice *choice, unsigned fewest,
                           size_t wanted)
{
    for (size_t i = 0; i < choice->n; i++) {
        if (!is_chosen(choice, i) && domain_shards(choice, i) == fewest &&
            wanted-- == 0) {
            return i;
        }
    }
    invariant(!"an eligible candidate was counted but not found");
}

static size_t better_of_two(const struct choice *choice, unsigned fewest,
                            size_t eligible, uint64_t *random_state)
{
    size_t first = random_below(random_state, eligible);
    size_t second, a, b;

    if (eligible == 1) {
        return nth_eligible(choice, fewest, 0);
    }
    second = random_below(random_state, eligible - 1);
    second += second >= first;
    a = nth_eligible(choice, fewest, first);
    b = nth_eligible(choice, fewest, second);
    return cost(&choice->candidates[b]) < cost(&choice->candidates[a]) ? b : a;
}

int placement_choose(const struct placement_candidate *candidates, size_t n,
                     unsigned count, uint64_t *random_state, unsigned drives[])
{
    struct choice choice = {.candidates = candidates, .n = n};

    if (count > CHOSEN_MAX) {
        return -EINVAL;
    }
    while (choice.count < count) {
        unsigned fewest;
        size_t eligible = count_eligible(&choice, &fewest);
        size_t position;

        if (eligible == 0) {
            return -ENOSPC;
        }
        position = better_of_two(&choice, fewest, eligible, random_state);
        drives[choice.count] = candidates[position].drive;
        choice.chosen[choice.count++] = position;
    }
    return 0;
}
