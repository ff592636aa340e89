/*
 * Who waits for a moment: a list by time, and one timer for the first of them.
 * Turns of one bandwidth are given in the order in which they are waited for,
 * so that a new one nearly always is the last.
 */
#include "server/private.h"

static void remove_turn(struct turn *turn)
{
    turn->previous->next = turn->next;
    turn->next->previous = turn->previous;
    turn->next = turn->previous = NULL;
}

static void on_timer(uv_timer_t *timer);

static void set_timer(struct turns *turns)
{
    const struct turn *first = turns->all.next;
    const uint64_t now_us = clock_monotonic_us();

    if (first == &turns->all) {
        uv_timer_stop(&turns->timer);
        return;
    }
    uv_timer_start(
        &turns->timer, on_timer,
        first->at_us > now_us ? (first->at_us - now_us + 999) / 1000 : 0, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct turns *turns = timer->data;
    const uint64_t now_us = clock_monotonic_us();
    struct turn *turn;

    while ((turn = turns->all.next) != &turns->all && turn->at_us <= now_us) {
        remove_turn(turn);
        turn->begin(turn);
    }
    set_timer(turns);
}

void turns_open(struct turns *turns, uv_loop_t *loop)
{
    turns->all.next = turns->all.previous = &turns->all;
    invariant(uv_timer_init(loop, &turns->timer) == 0);
    turns->timer.data = turns;
}

void turns_close(struct turns *turns)
{
    invariant(turns->all.next == &turns->all);
    uv_close((uv_handle_t *)&turns->timer, NULL);
}

void turn_wait(struct turns *turns, struct turn *turn, uint64_t at_us,
               void (*begin)(struct turn *turn))
{
    struct turn *after = turns->all.previous;

    invariant(turn->next == NULL);
    while (after != &turns->all && after->at_us > at_us) {
        after = after->previous;
    }
    turn->at_us = at_us;
    turn->begin = begin;
    turn->previous = after;
    turn->next = after->next;
    after->next->previous = turn;
    after->next = turn;
    if (turns->all.next == turn) {
        set_timer(turns);
    }
}

void turn_cancel(struct turns *turns, struct turn *turn)
{
    if (turn->next != NULL) {
        remove_turn(turn);
        set_timer(turns);
    }
}
