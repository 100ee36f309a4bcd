/* transform.c: the family of transforms, and chains of them. */
#include "data/transform.h"
#include "data/dataset.h"
#include <stdio.h>
#include <stdlib.h>

#define TRANSFORM(name) extern const TransformKind transform_##name;
#include "data/transforms.def"
#undef TRANSFORM

static const Kind *const transform_kinds[] = {
#define TRANSFORM(name) &transform_##name.kind,
#include "data/transforms.def"
#undef TRANSFORM
    NULL};

const Family transform_family = {
    .name = "transform", .module = "data", .kinds = transform_kinds,
    .example = "local pictures = data.set(tensor.rand(2, 3, 8, 8), tensor.ones(2))\n"
               "for x in pictures:transform(%s):batches(2) do print(x) end"};

Err transform_planes(const Transform *self, const Shape *features, Planes *out,
                     Fault *fault) {
  char label[64], text[SHAPE_TEXT];
  int rank = features->rank;
  if (rank < 2)
    return fault_set(fault, ERR_SHAPE,
                     "%s: got rows of features %s, allowed: pictures, [H, W] or [C, H, "
                     "W]",
                     kind_label(self->object.kind, label, sizeof label),
                     shape_text(text, features));
  *out = (Planes){1, features->dim[rank - 2], features->dim[rank - 1]};
  for (int i = 0; i < rank - 2; i++) out->n *= features->dim[i];
  return ERR_OK;
}

Err transform_keeps(const Transform *self, const Shape *in, Shape *out, Fault *fault) {
  (void)self, (void)fault;
  *out = *in;
  return ERR_OK;
}

Err transform_keeps_planes(const Transform *self, const Shape *in, Shape *out,
                           Fault *fault) {
  Planes planes;
  *out = *in;
  return transform_planes(self, in, &planes, fault);
}

/* -- chains ------------------------------------------------------------------------ */

Chain *chain_retain(Chain *chain) {
  if (chain) chain->refs++;
  return chain;
}

void chain_release(Chain *chain) {
  if (!chain || --chain->refs > 0) return;
  for (int i = 0; i < chain->n; i++) object_release(chain->stage[i].transform);
  free(chain->scratch);
  free(chain);
}

/* Two rows of the largest features that lie between stages. */
static Err add_scratch(Chain *chain, Fault *fault) {
  int64_t n = 1;
  for (int i = 0; i < chain->n; i++) {
    int64_t n_in = shape_count(&chain->stage[i].in);
    if (n_in > n) n = n_in;
  }
  size_t n_bytes = 2 * (size_t)n * sizeof *chain->scratch;
  chain->scratch = malloc(n_bytes);
  chain->n_scratch = n;
  return chain->scratch ? ERR_OK : fault_memory(fault, n_bytes);
}

/* The chain (NULL: none) and then the transform, for rows that have `features` by then:
 * new. */
static Chain *chain_then(const Chain *chain, const Shape *features, Transform *t,
                         Fault *fault) {
  int n = chain ? chain->n : 0;
  Shape out;
  if (transform_kind(t)->shape(t, features, &out, fault)) return NULL;
  size_t n_bytes = sizeof(Chain) + ((size_t)n + 1) * sizeof(Stage);
  Chain *longer = calloc(1, n_bytes);
  if (!longer) {
    fault_memory(fault, n_bytes);
    return NULL;
  }
  longer->refs = 1;
  for (int i = 0; i < n; i++) longer->stage[i] = chain->stage[i];
  longer->stage[n] = (Stage){t, *features, out};
  longer->n = n + 1;
  for (int i = 0; i <= n; i++) object_retain(longer->stage[i].transform);
  if (!add_scratch(longer, fault)) return longer;
  chain_release(longer);
  return NULL;
}

void chain_row(const Chain *chain, real *out, const Stream *draw) {
  const real *x = chain->scratch;
  for (int i = 0; i < chain->n; i++) {
    const Stage *s = &chain->stage[i];
    bool last = i == chain->n - 1;
    real *y = last ? out : chain->scratch + (i % 2 == 0 ? chain->n_scratch : 0);
    RowDraw own = {draw ? *draw : (Stream){0}, (uint64_t)i * ROW_WORDS};
    transform_kind(s->transform)
        ->row(s->transform, x, &s->in, y, &s->out, draw ? &own : NULL);
    x = y;
  }
}

/* -- mixing ------------------------------------------------------------------------ */

Mixer *mixer_retain(Mixer *mixer) {
  if (mixer) mixer->refs++;
  return mixer;
}

void mixer_release(Mixer *mixer) {
  if (!mixer || --mixer->refs > 0) return;
  object_release(mixer->transform);
  free(mixer->other);
  free(mixer);
}

static Mixer *mixer_new(Transform *t, const Shape *features, Fault *fault) {
  size_t n_bytes = (size_t)shape_count(features) * sizeof(real);
  Mixer *mixer = calloc(1, sizeof *mixer);
  real *other = mixer ? malloc(n_bytes) : NULL;
  if (!other) {
    free(mixer);
    fault_memory(fault, n_bytes);
    return NULL;
  }
  *mixer = (Mixer){1, object_retain(t), other};
  return mixer;
}

Dataset *dataset_with_mixer(const Dataset *set, Transform *t, Fault *fault) {
  Shape same;
  if (transform_kind(t)->shape(t, &set->given, &same, fault)) return NULL;
  Mixer *mixer = mixer_new(t, &set->given, fault);
  bool ok = mixer != NULL;
  int64_t *index = ok ? dataset_copy_index(set, &ok, fault) : NULL;
  Dataset *out = ok ? dataset_view(set, index, set->n, NULL, fault) : NULL;
  if (!out) {
    mixer_release(mixer);
    return NULL;
  }
  out->mixer = mixer;
  return out;
}

/* What comes after would be done to mixtures, and a partner's share would be none. */
static Err check_last(const Dataset *set, const Transform *t, Fault *fault) {
  if (!set->mixer) return ERR_OK;
  return fault_set(fault, ERR_VALUE,
                   "data.%s mixes rows and comes last; data.%s goes "
                   "before it",
                   set->mixer->transform->object.kind->name, t->object.kind->name);
}

void transform_add_text(Text *out, const Transform *self) {
  object_add_text(out, &self->object);
  if (transform_kind(self)->add_text) transform_kind(self)->add_text(self, out);
}

Err dataset_transformable(const Dataset *set, Fault *fault) {
  const Rows *rows = set->rows;
  if (!rows->n_more && !rows->mask && !set->masker) return ERR_OK;
  if (set->masker)
    return fault_set(fault, ERR_VALUE,
                     "%s has hidden tokens, and no transform knows of them: "
                     "mask_tokens comes last",
                     set->name);
  char several[32];
  snprintf(several, sizeof several, "%d inputs", 1 + rows->n_more);
  return fault_set(fault, ERR_VALUE,
                   "transforms are of data sets with one x and no mask; %s has "
                   "%s: transform its tensors before data.set(x, y, { ... })",
                   set->name, rows->n_more ? several : "a mask");
}

Dataset *dataset_apply(Dataset *set, Transform *t, Fault *fault) {
  if (dataset_load(set, fault) || dataset_transformable(set, fault)) return NULL;
  const TransformKind *kind = transform_kind(t);
  if (check_last(set, t, fault)) return NULL;
  return kind->join ? kind->join(t, set, fault) : dataset_add_stage(set, t, fault);
}

bool dataset_augments(const Dataset *set) {
  return set->chain || set->mixer || set->masker;
}

Dataset *dataset_add_stage(const Dataset *set, Transform *t, Fault *fault) {
  Chain *chain = chain_then(set->chain, &set->given, t, fault);
  if (!chain) return NULL;
  bool ok;
  int64_t *index = dataset_copy_index(set, &ok, fault);
  Dataset *out = ok ? dataset_view(set, index, set->n, NULL, fault) : NULL;
  if (!out) {
    chain_release(chain);
    return NULL;
  }
  chain_release(out->chain);
  out->chain = chain;
  out->given = chain->stage[chain->n - 1].out;
  return out;
}
