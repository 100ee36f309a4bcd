/* monitor.c: what a person sees of a fit.
 *
 * On a terminal one line is drawn anew for the whole fit: a bar of the epoch, the
 * running loss, what the last epoch measured, the time left; at the end the line of the
 * last epoch stays. Elsewhere a line per epoch, and in a long one a line per 30 s.
 * With `verbose = n` every n-th epoch has a line that stays, on a terminal too. All of
 * it goes to stderr. */
#include "lua/run_record.h"
#include "base/out.h"
#include "base/sys.h"
#include <math.h>
#include <string.h>

enum { BAR_CELLS = 12 };
static const double redraw_s = 0.1, line_s = 30;

static bool silent(const Session *s, const FitRun *run) {
  return s->screen.quiet || !run->fit->verbose;
}

/* Does the epoch get a line that stays? */
static bool has_line(const FitRun *run, int64_t epoch) {
  int64_t every = run->fit->verbose;
  return every == FIT_ONE_LINE ? !out_progress_on() : epoch % every == 0;
}

static Err show_begin(void *self, FitRun *run, Fault *fault) {
  Session *s = self;
  (void)fault;
  s->screen.drawn_s = out_progress_on() ? 0 : clock_s();
  if (!silent(s, run))
    err_print("training on %lld, validating on %lld, %lld iterations per epoch of "
              "%lld\n",
              (long long)run->n_train, (long long)run->n_validation,
              (long long)run->n_batches, (long long)run->fit->batch_size);
  return ERR_OK;
}

/* Columns that the line shows under another form, or not at all. */
static bool shown_apart(const char *name) {
  return strcmp(name, "epoch") == 0 || strcmp(name, "time_s") == 0 ||
         strcmp(name, "lr") == 0;
}

/* What the last epoch measured; `loss`: the training loss too. */
static void add_measures(Text *line, const History *h, bool loss) {
  for (int c = 0; h->n_rows && c < h->n_columns; c++) {
    const char *name = h->column[c].name;
    double v = h->column[c].v[h->n_rows - 1];
    char number[32];
    if (!shown_apart(name) && !isnan(v) && (loss || strcmp(name, "loss") != 0))
      text_addf(line, "  %s %s", name, text_measure(number, v));
  }
}

/* Of the fit, were all epochs as long as the last one; of the first by its begin. */
static double seconds_left(const FitRun *run, double now) {
  const History *h = run->history;
  double done = (double)run->batch / (double)run->n_batches;
  double epoch_s = h->n_rows ? history_get(h, "time_s", h->n_rows - 1)
                             : (now - run->epoch_start_s) / done;
  return epoch_s * ((double)(run->fit->epochs - run->epoch + 1) - done);
}

/* "epoch 3/10 [=====>      ]  loss 0.4211  val_loss 0.4402  ETA 12 s" */
static void add_progress(Text *line, const FitRun *run, double now) {
  char bar[BAR_CELLS + 1], loss[32];
  int filled = (int)(BAR_CELLS * run->batch / run->n_batches);
  for (int i = 0; i < BAR_CELLS; i++)
    bar[i] = i < filled ? '=' : i == filled ? '>' : ' ';
  bar[BAR_CELLS] = 0;
  text_addf(line, "epoch %lld/%lld [%s]  loss %s", (long long)run->epoch,
            (long long)run->fit->epochs, bar, text_measure(loss, run->loss));
  add_measures(line, run->history, false);
  text_addf(line, "  ETA %.0f s", seconds_left(run, now));
}

static Err show_batch(void *self, FitRun *run, Fault *fault) {
  Session *s = self;
  (void)fault;
  if (silent(s, run))
    return ERR_OK; /* before anything is asked: this is done for every batch */
  double now = clock_s(), since_s = now - s->screen.drawn_s;
  if (since_s < redraw_s) return ERR_OK;
  bool draws = out_progress_on();
  if (!draws && since_s < line_s) return ERR_OK;
  s->screen.drawn_s = now;
  Text line = {0};
  add_progress(&line, run, now);
  if (draws && !line.failed) out_progress("%s", line.data);
  else if (!line.failed) err_print("%s\n", line.data);
  text_deinit(&line);
  return ERR_OK;
}

/* The line of the epoch that the history ends with. */
static void print_epoch(const FitRun *run) {
  const History *h = run->history;
  Text line = {0};
  text_addf(&line, "epoch %.0f/%lld", history_get(h, "epoch", h->n_rows - 1),
            (long long)run->fit->epochs);
  add_measures(&line, h, true);
  text_addf(&line, "  %.2f s", history_get(h, "time_s", h->n_rows - 1));
  out_progress_end(false);
  if (!line.failed) err_print("%s\n", line.data);
  text_deinit(&line);
}

/* The last epoch has its line in any case. */
static void print_last(const FitRun *run) {
  const History *h = run->history;
  int64_t epoch = h->n_rows ? (int64_t)history_get(h, "epoch", h->n_rows - 1) : 0;
  if (epoch && !has_line(run, epoch)) print_epoch(run);
}

/* How the loss of that epoch went astray, into `out`; false: it did not. In the first
 * epoch it is held against that of the first step. */
static bool went_astray(const FitRun *run, int64_t row, Text *out) {
  static const char *const losses[] = {"loss", "val_loss"};
  enum { FAR = 1000 };
  const History *h = run->history;
  double first = row ? history_get(h, "loss", 0) : run->first_loss;
  double loss = history_get(h, "loss", row);
  char number[32];
  for (int i = 0; i < 2; i++) {
    if (history_find(h, losses[i]) < 0 || isfinite(history_get(h, losses[i], row)))
      continue;
    text_addf(out, "%s is %s", losses[i],
              text_measure(number, history_get(h, losses[i], row)));
    return true;
  }
  if (!(first != 0 && loss >= FAR * fabs(first))) return false;
  text_addf(out, "the loss is %s times that of the first %s",
            text_measure(number, loss / fabs(first)), row ? "epoch" : "step");
  return true;
}

/* Once in a fit. Of trials the table of results shows it. */
static void warn_of_loss(const Session *s, const FitRun *run) {
  Text now = {0}, before = {0};
  int64_t last = run->history->n_rows - 1;
  bool astray = !s->screen.quiet && went_astray(run, last, &now);
  for (int64_t row = 0; astray && row < last; row++)
    astray = !went_astray(run, row, &before);
  if (astray && !now.failed)
    err_print("warning: epoch %lld: %s; is the learning rate too large?\n",
              (long long)run->epoch, now.data);
  text_deinit(&now);
  text_deinit(&before);
}

static Err show_epoch(void *self, FitRun *run, Fault *fault) {
  Session *s = self;
  (void)fault;
  if (!silent(s, run) && has_line(run, run->epoch)) {
    print_epoch(run);
    s->screen.drawn_s = clock_s();
  }
  warn_of_loss(s, run);
  return ERR_OK;
}

static Err show_restored(void *self, FitRun *run, Fault *fault) {
  (void)fault;
  if (silent(self, run)) return ERR_OK;
  if (run->finished)
    err_print("fit %lld is finished: its results are taken from its checkpoint\n",
              (long long)run->number);
  else
    err_print("going on from a checkpoint: epoch %lld/%lld, iteration %lld/%lld\n",
              (long long)run->epoch, (long long)run->fit->epochs, (long long)run->batch,
              (long long)run->n_batches);
  return ERR_OK;
}

static Err show_end(void *self, FitRun *run, Fault *fault) {
  Session *s = self;
  if (!silent(s, run)) print_last(run);
  out_progress_end(fault->code != ERR_OK);
  if (fault->code == ERR_INTERRUPT) {
    s->screen.cut_epoch = run->epoch;
    s->screen.cut_epochs = run->fit->epochs;
  }
  return ERR_OK;
}

static const Events progress = {
    .on = {[FIT_STARTED] = show_begin, [FIT_RESTORED] = show_restored,
           [FIT_BATCH_END] = show_batch, [FIT_EPOCH_END] = show_epoch,
           [FIT_ENDED] = show_end}};

/* The line of an epoch is printed before its row is recorded. */
void session_listeners(Session *s, Listener out[SESSION_LISTENERS]) {
  out[0] = (Listener){&progress, s, NULL, 0};
  out[1] = (Listener){&fit_record, s, NULL, 0};
}
