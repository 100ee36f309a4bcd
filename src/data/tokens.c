/* tokens.c: see tokens.h. */
#include "data/tokens.h"
#include "base/fault.h"
#include "base/utf8.h"

const char *const token_sorts[] = {
    [TOKEN_CHARACTERS] = "characters", [TOKEN_WORDS] = "words", NULL};

typedef struct Range {
  uint32_t first, last;
} Range;

static bool is_in(const Range *ranges, size_t n, uint32_t code) {
  for (size_t i = 0; i < n; i++)
    if (code >= ranges[i].first && code <= ranges[i].last) return true;
  return false;
}

static bool is_white(uint32_t code) {
  static const Range white[] = {{'\t', '\r'}, {' ', ' '}, {0x85, 0x85}, {0xA0, 0xA0},
                                {0x2000, 0x200B}, {0x2028, 0x2029}, {0x202F, 0x202F},
                                {0x3000, 0x3000}, {0xFEFF, 0xFEFF}};
  return is_in(white, sizeof white / sizeof *white, code);
}

/* Punctuation and signs: beyond ASCII by their blocks. */
static bool is_sign(uint32_t code) {
  static const Range signs[] = {{0, '/'}, {':', '@'}, {'[', '`'}, {'{', 0xA9},
                                {0xAB, 0xB4}, {0xB6, 0xB9}, {0xBB, 0xBF},
                                {0xD7, 0xD7}, {0xF7, 0xF7}, {0x2010, 0x206F},
                                {0x20A0, 0x20CF}, {0x2190, 0x2BFF}, {0x3001, 0x3004},
                                {0x3008, 0x3020}, {0xFF01, 0xFF0F}, {0xFF1A, 0xFF20},
                                {0x1F000, 0x1FAFF}};
  return is_in(signs, sizeof signs / sizeof *signs, code);
}

static bool is_letter(uint32_t code) { return !is_white(code) && !is_sign(code); }

static bool joins(uint32_t code) {
  return code == '\'' || code == '-' || code == 0x2019 || code == 0x2010;
}

/* Bytes of the character at `at`; 0 at the end. */
static size_t look(const Tokens *text, const char *at, uint32_t *code) {
  if (at >= text->end) return 0;
  size_t n = utf8_next(at, text->end, code);
  must(n > 0); /* who made the Tokens has looked */
  return n;
}

/* The end of the word that begins at `at`, with a letter. */
static const char *end_of_word(const Tokens *text, const char *at) {
  uint32_t code;
  for (size_t n; (n = look(text, at, &code)) > 0; at += n) {
    if (is_letter(code)) continue;
    uint32_t next;
    bool inside = joins(code) && look(text, at + n, &next) && is_letter(next);
    if (!inside) break;
  }
  return at;
}

bool tokens_next(Tokens *text, Token *out) {
  uint32_t code = 0;
  size_t n;
  while ((n = look(text, text->at, &code)) > 0 && text->sort == TOKEN_WORDS &&
         is_white(code)) {
    text->line += code == '\n';
    text->at += n;
  }
  if (n == 0) return false;
  const char *end = text->at + n;
  if (text->sort == TOKEN_WORDS && is_letter(code)) end = end_of_word(text, text->at);
  *out = (Token){text->at, (size_t)(end - text->at)};
  text->line += code == '\n';
  text->at = end;
  return true;
}

/* -- small letters ----------------------------------------------------------------- */

/* Capital letters, and how far their small ones are behind them; `pairs`: each second
 * one is a capital, and the small one is next. */
typedef struct Capitals {
  uint32_t first, last;
  uint32_t behind;
  bool pairs;
} Capitals;

static uint32_t small_letter(uint32_t code) {
  static const Capitals capitals[] = {
      {'A', 'Z', 32, false},       {0xC0, 0xD6, 32, false},   {0xD8, 0xDE, 32, false},
      {0x100, 0x12E, 1, true},     {0x132, 0x136, 1, true},   {0x139, 0x147, 1, true},
      {0x14A, 0x176, 1, true},     {0x179, 0x17D, 1, true},   {0x1CD, 0x1DB, 1, true},
      {0x1DE, 0x1EE, 1, true},     {0x1F8, 0x21E, 1, true},   {0x222, 0x232, 1, true},
      {0x388, 0x38A, 37, false},   {0x391, 0x3A1, 32, false}, {0x3A3, 0x3AB, 32, false},
      {0x400, 0x40F, 80, false},   {0x410, 0x42F, 32, false}, {0x460, 0x480, 1, true},
      {0x48A, 0x4BE, 1, true},     {0x4C1, 0x4CD, 1, true},   {0x4D0, 0x52E, 1, true},
      {0x531, 0x556, 48, false},   {0x1E00, 0x1E94, 1, true},
      {0x1EA0, 0x1EFE, 1, true}};
  if (code == 0x178) return 0xFF;
  if (code == 0x386) return 0x3AC;
  if (code == 0x38C) return 0x3CC;
  if (code == 0x1E9E) return 0xDF;
  for (size_t i = 0; i < sizeof capitals / sizeof *capitals; i++) {
    const Capitals *c = &capitals[i];
    if (code < c->first || code > c->last) continue;
    return c->pairs && (code - c->first) % 2 ? code : code + c->behind;
  }
  return code;
}

void tokens_lower(Text *out, const char *at, size_t n_bytes) {
  const char *end = at + n_bytes;
  uint32_t code;
  text_add(out, "");
  for (size_t n; at < end; at += n) {
    char small[4];
    n = utf8_next(at, end, &code);
    must(n > 0);
    text_add_bytes(out, small, utf8_put(small, small_letter(code)));
  }
}
