/* sources.h: the data that trials read: each source once for all trials of a process,
 * and what is noted of it in the record of a trial: by what it is, with a hash of its
 * rows. */
#ifndef LUA_SOURCES_H
#define LUA_SOURCES_H

#include "base/sha256.h"
#include "lua/core.h"

/* Data sources of the trials of a study: each is read once. */
enum { CACHED_SOURCES = 16 };
typedef struct CachedSource {
  char *key;      /* what it is, with all options, and the seed if that matters */
  uint64_t stamp; /* of its files; FRESH: it is of no use for later ones */
  Source *source;
  bool read_before[MAX_PARTS];       /* by the script, before any trial ... */
  bool read_ever[MAX_PARTS];         /* ... or by any trial before this one */
  char hash[MAX_PARTS][SHA256_TEXT]; /* of the rows; "": not made yet */
} CachedSource;
typedef struct SourceCache {
  MemoryCount *memory; /* counts the tensors of new ones; borrowed */
  int n;               /* places taken so far, round and round */
  CachedSource v[CACHED_SOURCES];
} SourceCache;

/* The source of the same kind and options, and seed if that matters, that was kept
 * before, unless a file that these name has changed since; else this one, which is kept
 * for later ones. The object is at the stack's top. Borrowed. */
Source *sources_keep(lua_State *L, SourceCache *cache, Source *source);

/* Keeps the sources that live in this session, with what the script has read of them:
 * every trial counts as having read that, as it would in a process of its own. */
void sources_adopt(lua_State *L, SourceCache *cache);

/* A trial begins: what earlier ones read is noted no more. */
void sources_begin(SourceCache *cache);
/* The data that the trial read, into its meta. */
void sources_note(SourceCache *cache, Json *meta);

void sources_deinit(SourceCache *cache);

/* Fills `*out` (NULL so far, the caller's, set before anything raises) with what the
 * table at `arg` says of each class of the set: real, [classes]. */
void bind_read_class_weight(lua_State *L, int arg, Dataset *set, Tensor **out);
extern const RefBinding class_weight_binding;

#endif
