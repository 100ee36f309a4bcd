/* sources.c: the data that trials read; see sources.h. */
#include "lua/sources.h"
#include "base/file.h"
#include "base/hash.h"
#include <stdlib.h>
#include <string.h>

static bool was_read(const Source *source) {
  for (int part = 0; part < MAX_PARTS; part++)
    if (source->read[part]) return true;
  return false;
}

static CachedSource *end_of(SourceCache *cache) {
  return cache->v + (cache->n < CACHED_SOURCES ? cache->n : CACHED_SOURCES);
}

/* A stamp of sources of which a file has just changed, or may have. */
enum { FRESH = 0 };

static bool add_stamp(uint64_t *hash, const Value *value) {
  if (value->kind != VALUE_TEXT) return true;
  int64_t stamp = file_stamp(value->as.text);
  *hash = hash_word(*hash, (uint64_t)stamp);
  return stamp != FILE_STAMP_FRESH;
}

/* When what its texts name last changed: paths are among them, and of others there is
 * no file. What changes within a directory of directories is not seen. */
static uint64_t stamp_of(const Object *o) {
  uint64_t hash = HASH_BEGIN;
  bool settled = true;
  for (const Option *opt = o->kind->options; opt && opt->name; opt++) {
    Value value, item;
    option_get(o, opt, &value);
    settled &= add_stamp(&hash, &value);
    for (int i = 0; value.kind == VALUE_LIST && i < value.as.n_items; i++) {
      option_item(o, opt, i, &item);
      settled &= add_stamp(&hash, &item);
    }
  }
  return settled ? hash | 1 : FRESH;
}

/* The place of one of that key, whose files have changed since; else the next place
 * that is free. In neither is what this trial has read: that is noted at its end. Where
 * it has read all, the next one. */
static int place_for_source(SourceCache *cache, const char *key) {
  for (CachedSource *c = cache->v; c < end_of(cache); c++)
    if (strcmp(c->key, key) == 0 && !was_read(c->source)) return (int)(c - cache->v);
  for (int i = 0; i < CACHED_SOURCES; i++) {
    int place = cache->n++ % CACHED_SOURCES;
    if (!cache->v[place].source || !was_read(cache->v[place].source)) return place;
  }
  return cache->n++ % CACHED_SOURCES;
}

/* What it is, at the stack's top. */
static const char *push_key(lua_State *L, const Source *source) {
  Text key = {0};
  luaL_tolstring(L, -1, NULL);
  source_add_key(source, &key);
  if (!key.n_bytes && !key.failed) return lua_tostring(L, -1);
  bind_push_text(L, &key);
  lua_concat(L, 2);
  return lua_tostring(L, -1);
}

Source *sources_keep(lua_State *L, SourceCache *cache, Source *source) {
  const char *key = push_key(L, source);
  uint64_t stamp = stamp_of(&source->object);
  for (CachedSource *c = cache->v; stamp != FRESH && c < end_of(cache); c++)
    if (c->stamp == stamp && strcmp(c->key, key) == 0) return c->source;
  char *copy = text_copy(key);
  if (!copy) return source;
  int place = place_for_source(cache, key);
  if (cache->v[place].source) object_release(cache->v[place].source);
  free(cache->v[place].key);
  cache->v[place] = (CachedSource){.key = copy,
                                   .stamp = stamp,
                                   .source = object_retain(source)};
  return source;
}

void sources_adopt(lua_State *L, SourceCache *cache) {
  int top = lua_gettop(L);
  for (Source *source = session(L)->made.first; source; source = source->after) {
    bind_push_object(L, &source->object);
    (void)sources_keep(L, cache, source);
    lua_settop(L, top);
  }
  for (CachedSource *c = cache->v; c < end_of(cache); c++)
    memcpy(c->read_before, c->source->read, sizeof c->read_before);
}

/* What was read since stays known of the source. */
static void add_reads(CachedSource *c) {
  for (int part = 0; part < MAX_PARTS; part++)
    c->read_ever[part] |= c->source->read[part];
}

void sources_begin(SourceCache *cache) {
  for (CachedSource *c = cache->v; c < end_of(cache); c++) {
    add_reads(c);
    memcpy(c->source->read, c->read_before, sizeof c->read_before);
  }
}

static void note_part(CachedSource *cached, int part, Json *data) {
  const char *name = source_part(cached->source, part);
  Text key = {0};
  if (!cached->hash[part][0]) source_hash(cached->source, part, cached->hash[part]);
  text_addf(&key, "%s%s%s", cached->key, *name ? " " : "", name);
  if (!key.failed) json_put_text(data, key.data, cached->hash[part]);
  text_deinit(&key);
}

void sources_note(SourceCache *cache, Json *meta) {
  Json *data = json_map();
  for (CachedSource *c = cache->v; c < end_of(cache); c++)
    for (int part = 0; part < MAX_PARTS; part++)
      if (c->source->read[part] && c->source->loaded[part]) note_part(c, part, data);
  json_put(meta, "data", data);
}

void sources_deinit(SourceCache *cache) {
  for (CachedSource *c = cache->v; c < end_of(cache); c++) {
    add_reads(c);
    memcpy(c->source->read, c->read_ever, sizeof c->read_ever);
    object_release(c->source);
    free(c->key);
  }
  *cache = (SourceCache){0};
}
