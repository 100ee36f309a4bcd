/* study.h: an experiment being run: which trials there are, what became of each, which
 * one is next.
 *
 *   plan ──► study_open ──► study_look ──► study_check_code ──► study_next ─► run it
 *            trials,        states on      made by other         ▲            │
 *            seed-major     disk           code?                 └ study_look_at
 *
 * The plan is what experiment.json holds (store.h): cells and seeds. Trials are in
 * seed-major order, all cells with the first seed, then all with the second, so that a
 * study that is stopped early is balanced. What must hold: the disk decides. A trial's
 * state and values are read from there after it ran, in whatever process. Without a
 * store (nothing is to be recorded) the outcome is given by the caller.
 *
 * One thread uses a study. */
#ifndef LAB_STUDY_H
#define LAB_STUDY_H

#include "doc/doc.h"
#include "lab/index.h"
#include "lab/store.h"

/* What to do with trials of the same identity that other code made. */
typedef enum CodeChoice { CODE_ASK, CODE_RERUN, CODE_KEEP } CodeChoice;

enum { STUDY_DEATHS = 10 }; /* of workers over one trial, before it counts as failed */

typedef struct StudyTrial {
  TrialInfo info;  /* state RUNNING: by us, or by another process; `data` is not kept */
  int cell;        /* from 0 */
  bool ours;       /* ran, or runs, in this study */
  bool gone;       /* its result was removed while the study ran */
  bool foreign;    /* its last attempt was made by other code */
  bool kept;       /* foreign, and kept by --code=keep */
  bool other_data; /* read under a name that others read, and not the same */
  int deaths;
} StudyTrial;

typedef struct StudyCell {
  const Json *levels;          /* factor -> level; borrowed from the plan */
  Json *config;                /* { factors, args } */
  char fingerprint[HASH_TEXT]; /* of its code; "": the plan has none */
  double sum;                  /* of `report` over its n complete trials */
  int n;
} StudyCell;

typedef struct Study {
  /* read-only */
  Json *plan;
  bool stored;                        /* else nothing is on disk */
  Store store;                        /* if stored */
  const char *name, *metric, *report; /* borrowed from the plan */
  bool larger_is_better;
  int n_cells;
  StudyCell *cells;
  int64_t n_trials;
  StudyTrial *trials;
  int64_t n_done;     /* complete or diverged */
  int64_t n_failed;   /* failed or cancelled */
  int64_t n_left;     /* the rest */
  int64_t n_found;    /* done before this study began */
  bool code_decided;  /* study_check_code was answered ... */
  bool keeps_foreign; /* ... so: whatever other code made stays */
  Json *earlier;      /* the plan on disk when the study was opened; NULL: none */
  /* private */
  Json *data; /* name -> hash, of what trials read, of the trial that was looked at
                 first */
  char other_data[128]; /* the first name under which they differ */
  int64_t next;         /* no pending trial comes before it */
} Study;

/* Takes the plan, also on failure: one that plan_file_read would give. seeds: list of
 * integers, those of the plan or of tuning. runs NULL: nothing is recorded. Else the
 * plan gets what the one on disk says of code that was kept; nothing is written yet but
 * for the directories of the experiment, with `create`. */
Err study_open(Study *out, Json *plan, const Json *seeds, const char *runs, bool create,
               Fault *fault) WARN_UNUSED;
void study_close(Study *study);

/* Reads the state of every trial: off its directory, or as the index has it, which was
 * brought up to date. What is run is decided by the directories alone. */
Err study_look(Study *study, Fault *fault) WARN_UNUSED;
Err study_look_up(Study *study, Index *index, Fault *fault) WARN_UNUSED;
/* The same of one trial, off its directory. ERR_USAGE when another process published
 * it with other code since study_check_code was asked, unless such trials are kept. */
Err study_look_at(Study *study, int64_t trial, Fault *fault) WARN_UNUSED;
/* The same of one that none of ours runs any more: another process runs it, or it has a
 * result, or it is to be run again, since another one left it or rm removed it since.
 * But a result of ours (`ended`) that is damaged already would be so again. */
Err study_look_again(Study *study, int64_t trial, bool ended, Fault *fault) WARN_UNUSED;
/* Has it a result? One that is complete or diverged? Such a one, made by other code?
 * And one that was not said to be kept? */
bool study_is_published(const StudyTrial *trial);
bool study_is_done(const StudyTrial *trial);
bool study_is_foreign(const StudyTrial *trial);
bool study_is_asked_about(const StudyTrial *trial);

/* Differences between two listings of code, as lines of text; NULL on lack of
 * memory. */
typedef char *(*CodeDifference)(void *ctx, const char *old, const char *new_);

/* Trials that are done, but by other code: with CODE_ASK an ERR_USAGE fault that says
 * what differs and asks, unless all are kept already; with CODE_RERUN they are reset
 * and run again; with CODE_KEEP they stay, and the plan says from then on that results
 * of that code are kept beside those of this one: it is not asked again, until
 * CODE_RERUN. Then those that other code left unfinished, or failed at, are reset:
 * nothing of them may be gone on with. `listings`: map fingerprint -> text. */
Err study_check_code(Study *study, CodeChoice choice, const Json *listings,
                     CodeDifference difference, void *ctx, Fault *fault) WARN_UNUSED;

/* Keeps the listings and the files (paths) of the code in the experiment's directory;
 * adds a row { path, hash } per file to `hashes`. */
Err study_write_code(const Study *study, const Json *listings, const Json *files,
                     Json *hashes, Fault *fault) WARN_UNUSED;
/* experiment.json. `tuning`: the trials are those that choose parameters; they are
 * listed as the plan's `others`, and its cells are not known yet. */
Err study_write_plan(const Study *study, bool tuning, Fault *fault) WARN_UNUSED;

/* Looks at results after which seeds were added (study_looks.c). study_look notes one
 * in the plan where it has seeds that the plan on disk lacks. Of results that other
 * code takes the place of they are forgotten. */
Err study_note_looks(Study *study, Fault *fault) WARN_UNUSED;
Err study_forget_looks(Study *study, Fault *fault) WARN_UNUSED;
/* How many there are of these arguments, the next one included; the same once seeds are
 * added: results that are enough for a verdict are a look by then, unless they were
 * before. */
typedef struct StudyLooks {
  int now, of_more;
} StudyLooks;
StudyLooks study_looks(const Study *study);

/* The next trial that is to be run, now marked as running by us; -1: none is. */
int64_t study_next(Study *study);

/* Looks again at trials that others run: *n of them still do; one that was left behind
 * by its process is ours to run. */
Err study_look_at_others(Study *study, int64_t *n, Fault *fault) WARN_UNUSED;
/* When nothing is left to be run: *n trials whose result was there and was removed
 * are to be run again, once; what is removed again is left. That is printed on stderr,
 * and experiment.json is written if it is not there. */
Err study_find_gone(Study *study, bool tuning, int64_t *n, Fault *fault) WARN_UNUSED;
/* How a trial ended, where nothing is recorded. Borrows all. */
Err study_outcome(Study *study, int64_t trial, const TrialEnd *end, double seconds,
                  Fault *fault) WARN_UNUSED;
/* Adds what is left of a study that was interrupted, and how it is run. `tuning`: these
 * trials only choose parameters. */
void study_left_text(const Study *study, bool tuning, Text *out);
/* It did not end: it is pending again, to be run at once if `again`, else left. */
void study_put_back(Study *study, int64_t trial, bool again);

/* The cell with the best mean of `report` so far; -1: none has a complete trial. */
int study_best(const Study *study, double *mean, int *n);

/* ERR_USAGE if complete trials have no value of the study's report. */
Err study_check_report(const Study *study, Fault *fault) WARN_UNUSED;

/* What a reader of the results has to know of how they were made: while parameters are
 * still chosen, by other code, in one cell by different code, on different data. New: a
 * list of sentences, empty where all are alike. */
Json *study_notes(const Study *study);
/* The same as paragraphs. */
void study_notes_doc(const Study *study, Doc *doc);

/* "relu, he_normal, batch": the level names of a cell in the order of factors. */
void study_cell_text(const Study *study, int cell, Text *out);
/* The same of a map factor -> level, a cell that is left out say. */
void study_levels_text(const Study *study, const Json *levels, Text *out);

#endif
