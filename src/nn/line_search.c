/* line_search.c: the strong Wolfe conditions, by algorithms 3.5 and 3.6 of Nocedal &
 * Wright, Numerical Optimization, 2006:
 *
 *   f(t) <= f(0) + c1 t f'(0)     |f'(t)| <= - c2 f'(0)
 *
 *   bracket  longer and longer steps, until two of them have a point that fulfils both
 *            between them
 *   zoom     points between these two, each in place of one of them
 *
 * New points are minima of the cubic through the last two; where and how it is held
 * within bounds is PyTorch's (torch.optim.LBFGS), so that the same points are looked
 * at. A point whose value is not finite is higher than any other, and the middle takes
 * the place of the cubic's minimum: so steps that go too far are halved. */
#include "nn/line_search.h"
#include <math.h>
#include <stdbool.h>

typedef struct Bracket {
  LinePoint end[2];
  int low;   /* which of them has the smaller value */
  bool done; /* that one fulfils the conditions */
} Bracket;

static double least_of(double a, double b) { return a < b ? a : b; }
static double most_of(double a, double b) { return a > b ? a : b; }

/* Where the cubic with values and slopes of both points is least, from lo to hi. */
static double cubic_minimum(const LinePoint *a, const LinePoint *b, double lo,
                            double hi) {
  double middle = (lo + hi) / 2;
  if (!isfinite(a->f) || !isfinite(b->f)) return middle;
  double d1 = a->slope + b->slope - 3 * (a->f - b->f) / (a->t - b->t);
  double square = d1 * d1 - a->slope * b->slope;
  if (!(square >= 0)) return middle;
  double d2 = sqrt(square), t;
  if (a->t <= b->t)
    t = b->t - (b->t - a->t) * ((b->slope + d2 - d1) / (b->slope - a->slope + 2 * d2));
  else
    t = a->t - (a->t - b->t) * ((a->slope + d2 - d1) / (a->slope - b->slope + 2 * d2));
  return isnan(t) ? middle : least_of(most_of(t, lo), hi);
}

/* A room that neither of two points in use has. */
static int free_room(const LinePoint *a, const LinePoint *b) {
  int room = 1;
  while (room == a->room || room == b->room) room++;
  return room;
}

static Err look(LineSearch *s, double t, const LinePoint *a, const LinePoint *b,
                LinePoint *out, Fault *fault) {
  *out = (LinePoint){.t = t, .room = free_room(a, b)};
  s->n_looks++;
  return s->look(s->ctx, out, fault);
}

static bool is_too_high(const LineSearch *s, const LinePoint *start,
                        const LinePoint *p) {
  return p->f > start->f + s->share * p->t * start->slope;
}

static bool is_flat(const LineSearch *s, const LinePoint *start, const LinePoint *p) {
  return fabs(p->slope) <= -s->slope_share * start->slope;
}

static Bracket bracket_of(const LinePoint *a, const LinePoint *b) {
  return (Bracket){.end = {*a, *b}, .low = !(a->f <= b->f)};
}

static Err find_bracket(LineSearch *s, const LinePoint *start, double t, Bracket *out,
                        Fault *fault) {
  LinePoint before = *start, now, next;
  Err err = look(s, t, start, &before, &now, fault);
  for (int i = 0; !err && i < s->most; i++) {
    bool rises = is_too_high(s, start, &now) || (i > 1 && now.f >= before.f);
    if (!rises && is_flat(s, start, &now)) {
      *out = (Bracket){.end = {now, now}, .done = true};
      return ERR_OK;
    }
    *out = bracket_of(&before, &now);
    if (rises || now.slope >= 0) return ERR_OK;
    double lo = now.t + 0.01 * (now.t - before.t), hi = 10 * now.t;
    err = look(s, cubic_minimum(&before, &now, lo, hi), start, &now, &next, fault);
    before = now;
    now = next;
  }
  if (!err) *out = bracket_of(start, &now);
  return err;
}

/* Between the ends; away from an end where the last point was near to one, too, or this
 * one would lie on it. */
static double next_inside(const Bracket *b, bool *was_near) {
  double lo = least_of(b->end[0].t, b->end[1].t),
         hi = most_of(b->end[0].t, b->end[1].t);
  double t = cubic_minimum(&b->end[0], &b->end[1], lo, hi), margin = 0.1 * (hi - lo);
  bool near = least_of(hi - t, t - lo) < margin;
  if (!near || !(*was_near || t >= hi || t <= lo)) {
    *was_near = near;
    return t;
  }
  *was_near = false;
  return fabs(t - hi) < fabs(t - lo) ? hi - margin : lo + margin;
}

/* The point takes the place of one of the ends. */
static void divide(const LineSearch *s, const LinePoint *start, Bracket *b,
                   const LinePoint *p) {
  int high = !b->low;
  if (is_too_high(s, start, p) || p->f >= b->end[b->low].f) {
    b->end[high] = *p;
    b->low = !(b->end[0].f <= b->end[1].f);
    return;
  }
  b->done = is_flat(s, start, p);
  if (!b->done && p->slope * (b->end[high].t - b->end[b->low].t) >= 0)
    b->end[high] = b->end[b->low];
  b->end[b->low] = *p;
}

Err line_search(LineSearch *s, const LinePoint *start, double t, LinePoint *out,
                Fault *fault) {
  Bracket b;
  LinePoint p;
  bool was_near = false;
  s->n_looks = 0;
  Err err = find_bracket(s, start, t, &b, fault);
  if (err) return err;
  while (!err && !b.done && s->n_looks <= s->most &&
         !(fabs(b.end[1].t - b.end[0].t) < s->least)) {
    err = look(s, next_inside(&b, &was_near), &b.end[0], &b.end[1], &p, fault);
    if (!err) divide(s, start, &b, &p);
  }
  *out = b.end[b.low];
  return err;
}
