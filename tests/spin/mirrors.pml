/*
 * The protocol of docs/mirrors.md: journals, epochs, starts and learning, with
 * power cuts between any two steps and mirrors that fail, go, come back as
 * they were, or are emptied.
 *
 * Checked: whatever a start trusts holds every group that was acknowledged or
 * could have been read before (the assertions in `start`).
 *
 * tests/spin/check runs it, and then once with each MISTAKE, which must be
 * found: 1 S3 is left out; 2 S4 takes half for a majority; 3 a group is
 * acknowledged before the epoch that expels a member is recorded; 4 epochs of
 * one number are taken for the same; 5 what was recorded of an epoch that was
 * given up counts for the one before, whether or not it was established; 6 a
 * mirror that learns is named before its copy is whole; 7 one that joins
 * counts as if it had been a member before (S3).
 *
 * A mirror keeps an id until it is emptied; sets are masks of ids. Journals
 * hold the numbers that groups are given when they are made, none twice.
 */
#ifndef MISTAKE
#define MISTAKE 0
#endif
#ifndef GROUPS
#define GROUPS 2
#endif
#ifndef CUTS
#define CUTS 2
#endif
#ifndef FAULTS
#define FAULTS 2
#endif

#define N     3
#define IDS   5
#define TRIES 5
#define AT(mirror, seq) groups[(mirror) * GROUPS + (seq)]

/* What is on the drives: journals, and in the file `set` the epoch that was
 * recorded last, whether it is known to be established, and the one before,
 * which is. Ballots tell epochs apart. */
bool here[N];
byte id[N];
byte ballot[N]; /* 0: no set */
byte set_of[N];
bool stands[N];
byte base[N];
byte base_set[N];
byte length[N];
byte groups[N * GROUPS];

/* What s3d holds in memory. */
bool running;
bool member[N];
bool failed[N];
byte epoch, epoch_set;
byte committed;

/* What the world has seen. */
byte seen;
byte seen_group[GROUPS];

byte next_id = N;
byte next_ballot = 2;
byte next_group = 1;
byte cuts, faults;
bool cut, ok, recorded;
byte i, k, set, x, x_set, x_base, x_base_set, support, joining, source;
byte tried[TRIES], tries;

#define HAS(mask, mirror) (((mask) >> id[mirror]) & 1)

/* More than half of `mask` is in `part`. */
#define SIZE(mask) (((mask) & 1) + (((mask) >> 1) & 1) + (((mask) >> 2) & 1) \
    + (((mask) >> 3) & 1) + (((mask) >> 4) & 1))
#define MOST(part, mask)    (2 * SIZE((part) & (mask)) > SIZE(mask))
#define HALF(part, mask)    (2 * SIZE((part) & (mask)) >= SIZE(mask))

/* Power may go here. */
inline may_cut()
{
    if
    :: cuts < CUTS -> cuts++; cut = true; running = false
    :: true
    fi
}

inline write_set(mirror)
{
    ballot[mirror] = x;
    set_of[mirror] = set;
    stands[mirror] = false;
    base[mirror] = epoch;
    base_set[mirror] = epoch_set
}

inline record(mirror)
{
    if
    :: !here[mirror] -> failed[mirror] = true; recorded = false
    :: here[mirror] ->
        if
        :: write_set(mirror)
        :: faults < FAULTS -> faults++;
            failed[mirror] = true;
            recorded = false;
            if /* it may be on the drive all the same */
            :: write_set(mirror)
            :: true
            fi
        fi
    fi;
    may_cut()
}

/* S1 to S3; `joining` is a mirror, or N. ok: the epoch stands. */
inline next_epoch()
{
    tried[0] = epoch_set;
    tries = 1;
    do
    :: true ->
        set = 0;
        for (i : 0 .. N - 1) {
            if
            :: (member[i] || i == joining) && !failed[i] ->
                set = set | (1 << id[i])
            :: else
            fi
        }
        support = set;
        if
        :: MISTAKE != 7 && joining < N && tries == 1 ->
            support = set & ~(1 << id[joining])
        :: else
        fi;
        ok = set != 0 && tries < TRIES;
        for (i : 0 .. tries - 1) {
            ok = ok && (MISTAKE == 1 || HALF(support, tried[i]) ||
                        (MISTAKE == 7 && 2 * SIZE(set) >= SIZE(tried[i])))
        }
        if
        :: !ok -> break
        :: else -> ok = false
        fi;
        tried[tries] = set;
        tries++;
        if
        :: MISTAKE == 4 -> x = epoch + 1
        :: else -> x = next_ballot; next_ballot++
        fi;
        recorded = true;
        for (i : 0 .. N - 1) {
            if
            :: recorded && !cut && HAS(set, i) && (member[i] || i == joining) ->
                record(i)
            :: else
            fi
        }
        if
        :: cut -> break
        :: !cut && recorded ->
            epoch = x;
            epoch_set = set;
            for (i : 0 .. N - 1) {
                member[i] = HAS(set, i) && (member[i] || i == joining)
            }
            for (i : 0 .. N - 1) {
                if
                :: member[i] && !cut -> stands[i] = true; may_cut()
                :: else
                fi
            }
            ok = !cut;
            break
        :: else
        fi
    od
}

inline expel_failed()
{
    ok = true;
    for (i : 0 .. N - 1) {
        if
        :: member[i] && (failed[i] || !here[i]) -> failed[i] = true; ok = false
        :: else
        fi
    }
    if
    :: !ok -> joining = N; next_epoch()
    :: else
    fi
}

inline acknowledge()
{
    seen_group[committed] = next_group - 1;
    committed++;
    seen = committed
}

/* J1, S2. */
inline commit()
{
    next_group++;
    for (i : 0 .. N - 1) {
        if
        :: member[i] && here[i] ->
            if
            :: AT(i, length[i]) = next_group - 1; length[i]++
            :: failed[i] = true /* also: the cut comes before it */
            fi
        :: else
        fi
    }
    may_cut();
    if
    :: !cut && MISTAKE == 3 -> acknowledge(); may_cut()
    :: else
    fi;
    if
    :: !cut -> expel_failed()
    :: else
    fi;
    if
    :: !cut && ok && MISTAKE != 3 -> acknowledge()
    :: !cut && !ok -> running = false /* it takes no further group */
    :: else
    fi
}

/* S6: everything is copied, then the next epoch names the mirror. */
inline learn_from()
{
    ballot[joining] = 0;
    id[joining] = next_id;
    next_id++;
    failed[joining] = false;
    length[joining] = 0;
    if
    :: MISTAKE != 6 ->
        length[joining] = committed;
        for (k : 0 .. GROUPS - 1) {
            AT(joining, k) = AT(source, k)
        }
    :: else
    fi;
    may_cut();
    if /* meanwhile */
    :: faults < FAULTS -> faults++; failed[source] = true
    :: true
    fi;
    if
    :: !cut -> next_epoch();
        if
        :: !cut && !ok -> running = false
        :: else
        fi
    :: else
    fi
}

inline learn()
{
    source = N;
    for (i : 0 .. N - 1) {
        if
        :: member[i] && !failed[i] && here[i] -> source = i
        :: else
        fi
    }
    if
    :: source < N -> learn_from()
    :: else
    fi
}

/* Who supports epoch x: who recorded it last; and who went on to record a next
 * one that another mirror shows never to have been established, by having
 * recorded x and not that. */
inline supporters()
{
    support = 0;
    for (i : 0 .. N - 1) {
        if
        :: here[i] && ballot[i] == x && x > 0 && HAS(x_set, i) ->
            support = support | (1 << id[i])
        :: here[i] && ballot[i] != x && base[i] == x && ballot[i] > 0 &&
           HAS(x_set, i) ->
            for (k : 0 .. N - 1) {
                if
                :: (here[k] && ballot[k] == x && HAS(set_of[i], k)) ||
                   MISTAKE == 5 -> support = support | (1 << id[i])
                :: else
                fi
            }
        :: else
        fi
    }
}

/* Is x known to be established, or can nothing else have been? */
inline judge(known)
{
    supporters();
    ok = (MISTAKE == 2 -> HALF(support, x_set) : MOST(support, x_set)) &&
         support != 0 && (known || MOST(support, x_base_set))
}

/* S4. Any epoch that is good enough will do. */
inline choose()
{
    ok = false;
    source = 0;
    do
    :: source < N && !ok ->
        if
        :: here[source] && ballot[source] > 0 ->
            x = ballot[source]; x_set = set_of[source];
            x_base_set = base_set[source];
            judge(stands[source]);
            if
            :: !ok -> x = base[source]; x_set = base_set[source]; judge(true)
            :: else
            fi
        :: else
        fi;
        source++
    :: source == N || ok -> break
    :: source < N -> source++ /* another one may be asked first */
    od
}

inline bring_up()
{
    joining = N; /* the longest */
    for (i : 0 .. N - 1) {
        if
        :: member[i] && (joining == N) -> joining = i
        :: member[i] && (joining < N) && length[i] > length[joining] ->
            joining = i
        :: else
        fi
    }
    for (i : 0 .. N - 1) {
        if
        :: member[i] && length[i] < length[joining] ->
            for (k : length[i] .. length[joining] - 1) {
                AT(i, k) = AT(joining, k)
            }
            length[i] = length[joining]
        :: else
        fi
    }
    committed = length[joining];
}

/* S5. */
inline start()
{
    choose();
    if
    :: ok ->
        epoch = x;
        epoch_set = x_set;
        for (i : 0 .. N - 1) {
            member[i] = here[i] && HAS(support, i);
            failed[i] = false
        }
        bring_up();
        assert(committed >= seen);
        for (k : 0 .. GROUPS - 1) {
            assert(k >= seen || AT(joining, k) == seen_group[k])
        }
        joining = N;
        next_epoch();
        if
        :: !cut && ok -> /* what was not acknowledged can be read from now */
            running = true;
            seen = committed;
            for (i : 0 .. N - 1) {
                if
                :: member[i] ->
                    for (k : 0 .. GROUPS - 1) {
                        if
                        :: k < committed -> seen_group[k] = AT(i, k)
                        :: else
                        fi
                    }
                :: else
                fi
            }
        :: else
        fi
    :: else
    fi
}

/* One thing happens after the other: the leader is alone. */
active proctype world()
{
    d_step {
        for (i : 0 .. N - 1) {
            here[i] = true;
            id[i] = i;
            ballot[i] = 1;
            set_of[i] = 7;
            base_set[i] = 7;
            stands[i] = true;
            member[i] = true
        }
        epoch = 1;
        epoch_set = 7;
        running = true;
        i = 0; k = 0
    }
    do
    :: running && committed < GROUPS && next_group <= GROUPS + 1 ->
        atomic { cut = false; commit(); i = 0; k = 0; set = 0; support = 0 }
    :: running && next_id < IDS ->
        atomic {
            cut = false;
            if
            :: !member[0] && here[0] -> joining = 0; learn()
            :: !member[1] && here[1] -> joining = 1; learn()
            :: !member[2] && here[2] -> joining = 2; learn()
            :: else
            fi;
            i = 0; k = 0; set = 0; support = 0; joining = 0; source = 0
        }
    :: running && cuts < CUTS -> cuts++; running = false
    :: !running ->
        atomic {
            cut = false; start();
            i = 0; k = 0; set = 0; support = 0; joining = 0; source = 0;
            x = 0; x_set = 0; x_base_set = 0
        }
    :: faults < FAULTS -> /* a drive goes */
        atomic {
            faults++;
            if
            :: here[0] -> here[0] = false
            :: here[1] -> here[1] = false
            :: here[2] -> here[2] = false
            :: else
            fi
        }
    :: true -> /* one comes back, as it was or empty */
        atomic {
            if
            :: !here[0] -> here[0] = true; k = 0
            :: !here[1] -> here[1] = true; k = 1
            :: !here[2] -> here[2] = true; k = 2
            :: else -> k = N
            fi;
            if
            :: k < N && !(running && member[k]) -> ballot[k] = 0
            :: true
            fi;
            if
            :: k < N && running && member[k] -> failed[k] = true
            :: else
            fi;
            k = 0
        }
    :: !running && cuts == CUTS && faults == FAULTS -> break
    od
}
