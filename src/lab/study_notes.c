/* study_notes.c: what makes trials of one study less than alike: other code, other
 * data. */
#include "lab/study.h"
#include <string.h>

enum { CELLS_NAMED = 3 };

/* Do published trials of the cell come from different code? */
static bool mixes_code(const Study *s, int cell) {
  const char *first = NULL;
  for (int64_t i = cell; i < s->n_trials; i += s->n_cells) {
    const StudyTrial *t = &s->trials[i];
    if (!study_is_published(t) || !t->info.fingerprint[0]) continue;
    if (!first) first = t->info.fingerprint;
    if (strcmp(first, t->info.fingerprint) != 0) return true;
  }
  return false;
}

static void push(Json *notes, Text *note) {
  if (note->n_bytes && !note->failed) json_push_text(notes, note->data);
  text_deinit(note);
}

static void push_tuning(const Study *s, Json *notes) {
  Text note = {0};
  const Json *others = json_find(s->plan, "others");
  if (s->n_cells == 0 && others && json_count(others))
    text_addf(&note,
              "Tuning: parameters are still chosen, by %lld trials; nothing is "
              "reported before. The same command goes on; runner ls %s purpose=tuning "
              "tells how far it is.",
              (long long)json_count(others), s->name);
  push(notes, &note);
}

/* "1, x; 1, y ..." of the cells for which it is so; how many there are. */
static int name_cells(const Study *s, bool (*is_so)(const Study *, int cell),
                      Text *names) {
  int n = 0;
  for (int cell = 0; cell < s->n_cells; cell++) {
    if (!is_so(s, cell)) continue;
    if (n < CELLS_NAMED) text_add(names, n ? "; " : "");
    if (n++ < CELLS_NAMED) study_cell_text(s, cell, names);
  }
  if (n > CELLS_NAMED) text_add(names, " ...");
  return n;
}

static bool has_foreign(const Study *s, int cell) {
  for (int64_t i = cell; i < s->n_trials; i += s->n_cells)
    if (study_is_foreign(&s->trials[i])) return true;
  return false;
}

static void push_count(const char *of, int64_t n, const char *what, const char *cells,
                       Json *notes) {
  Text note = {0};
  if (n > 0)
    text_addf(&note, "Code: %lld of the trials%s were made by other code%s%s.",
              (long long)n, of, what, cells);
  push(notes, &note);
}

static void push_foreign(const Study *s, Json *notes) {
  static const char kept[] = " (--code=keep)",
                    asked[] = "; a run asks what to do with them";
  const Json *tuned = json_find(s->plan, "tuned");
  int64_t n_kept = 0, n_asked = 0, n_failed = 0, n_tuning_kept = 0, n_tuning_asked = 0;
  for (int64_t i = 0; i < s->n_trials; i++) {
    const StudyTrial *t = &s->trials[i];
    n_kept += t->kept && study_is_foreign(t);
    n_asked += study_is_asked_about(t);
    n_failed += t->foreign && study_is_published(t) && !study_is_done(t);
  }
  Text cells = {0};
  text_add(&cells, ": ");
  name_cells(s, has_foreign, &cells);
  push_count("", n_kept, kept, n_asked || cells.failed ? "" : cells.data, notes);
  push_count("", n_asked, asked, "", notes);
  push_count(" that failed", n_failed, "; a run runs them again", "", notes);
  text_deinit(&cells);
  json_find_int(tuned, "kept", &n_tuning_kept);
  json_find_int(tuned, "asked", &n_tuning_asked);
  push_count(" that chose parameters", n_tuning_kept, kept, "", notes);
  push_count(" that chose parameters", n_tuning_asked, asked, "", notes);
}

static void push_mixed_cells(const Study *s, Json *notes) {
  Text note = {0}, names = {0};
  int n = name_cells(s, mixes_code, &names);
  if (n && names.data)
    text_addf(&note,
              "Code: the trials of %d of %d cells were not all made by the same code: "
              "%s.",
              n, s->n_cells, names.data);
  text_deinit(&names);
  push(notes, &note);
}

static void push_other_data(const Study *s, Json *notes) {
  Text note = {0};
  int64_t n = 0;
  for (int64_t i = 0; i < s->n_trials; i++) n += s->trials[i].other_data;
  if (n)
    text_addf(&note,
              "Data: %lld of the trials read other data than the first ones, under the "
              "same name: %s. Means over both say little; runner rm removes trials.",
              (long long)n, s->other_data);
  push(notes, &note);
}

Json *study_notes(const Study *study) {
  Json *notes = json_list();
  push_tuning(study, notes);
  push_foreign(study, notes);
  push_mixed_cells(study, notes);
  push_other_data(study, notes);
  return notes;
}

void study_notes_doc(const Study *study, Doc *doc) {
  Json *notes = study_notes(study);
  const char *note = "";
  for (int64_t i = 0; i < json_count(notes); i++) {
    doc_break(doc);
    if (json_get_text(json_item(notes, i), &note))
      doc_say(doc, DOC_PARAGRAPH, "%s", note);
  }
  json_free(notes);
}
