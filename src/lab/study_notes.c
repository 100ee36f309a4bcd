/* study_notes.c: what makes trials of one study less than alike: other code, other
 * data. */
#include "lab/study.h"
#include <stdarg.h>
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

static __attribute__((format(printf, 2, 3))) void note(Json *notes, const char *format,
                                                       ...) {
  Text text = {0};
  va_list args;
  va_start(args, format);
  text_add_args(&text, format, args);
  va_end(args);
  if (!text.failed) json_push_text(notes, text.data);
  text_deinit(&text);
}

static void note_tuning(const Study *s, Json *notes) {
  int64_t n = json_count(json_find(s->plan, "others"));
  if (s->n_cells == 0 && n)
    note(notes,
         "Tuning: parameters are still chosen, by %lld trials; nothing is reported "
         "before. The same command goes on; runner ls %s purpose=tuning shows how far "
         "it is.",
         (long long)n, s->name);
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

static void note_code(Json *notes, const char *of, int64_t n, const char *what,
                      const char *cells) {
  if (n > 0)
    note(notes, "Code: %lld of the trials%s were made by other code%s%s.", (long long)n,
         of, what, cells);
}

static void note_foreign(const Study *s, Json *notes) {
  static const char kept[] = " (--code=keep)", choosing[] = " that chose parameters",
                    asked[] = "; a run asks what to do with them";
  const Json *tuned = json_find(s->plan, "tuned");
  int64_t n_kept = 0, n_asked = 0, n_failed = 0;
  for (int64_t i = 0; i < s->n_trials; i++) {
    const StudyTrial *t = &s->trials[i];
    n_kept += t->kept && study_is_foreign(t);
    n_asked += study_is_asked_about(t);
    n_failed += t->foreign && study_is_published(t) && !study_is_done(t);
  }
  Text cells = {0};
  text_add(&cells, ": ");
  name_cells(s, has_foreign, &cells);
  note_code(notes, "", n_kept, kept, n_asked || cells.failed ? "" : cells.data);
  note_code(notes, "", n_asked, asked, "");
  note_code(notes, " that failed", n_failed, "; a run runs them again", "");
  note_code(notes, choosing, json_int(tuned, "kept"), kept, "");
  note_code(notes, choosing, json_int(tuned, "asked"), asked, "");
  text_deinit(&cells);
}

static void note_mixed_cells(const Study *s, Json *notes) {
  Text names = {0};
  int n = name_cells(s, mixes_code, &names);
  if (n && !names.failed)
    note(notes,
         "Code: the trials of %d of %d cells were not all made by the same code: %s.",
         n, s->n_cells, names.data);
  text_deinit(&names);
}

static void note_other_data(const Study *s, Json *notes) {
  int64_t n = 0;
  for (int64_t i = 0; i < s->n_trials; i++) n += s->trials[i].other_data;
  if (n)
    note(notes,
         "Data: %lld of the trials read other data than the first ones, under the same "
         "name: %s. Means over both say little; runner rm removes trials.",
         (long long)n, s->other_data);
}

Json *study_notes(const Study *study) {
  Json *notes = json_list();
  note_tuning(study, notes);
  note_foreign(study, notes);
  note_mixed_cells(study, notes);
  note_other_data(study, notes);
  return notes;
}

void study_notes_doc(const Study *study, Doc *doc) {
  Json *notes = study_notes(study);
  const char *text = "";
  for (int64_t i = 0; i < json_count(notes); i++) {
    doc_break(doc);
    if (json_get_text(json_item(notes, i), &text))
      doc_say(doc, DOC_PARAGRAPH, "%s", text);
  }
  json_free(notes);
}
