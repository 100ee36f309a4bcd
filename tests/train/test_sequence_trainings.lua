-- Transformers and recurrent nets learn what is known that they can: copying, padded words, the
-- characters of a text. LONG=1: to the figures that are known; else small ones, that they learn.
local check = dofile "tests/check.lua"
local tests = {}
local long = os.getenv "LONG" == "1"

local function fit(net, set, options)
  options.verbose, options.record = false, false
  return train.fit(net, set, options)
end

-- -- copying -----------------------------------------------------------------------------

local function copier(length, symbols, size, blocks)
  return nn.Sequential { nn.Embedding(symbols + 1, size, { init = "normal" }),
    nn.PositionEmbedding(2 * length, { init = "normal" }),
    nn.TransformerEncoder(4, 2 * size, { layers = blocks, causal = true, norm_first = true }),
    nn.Dense(symbols + 1) }
end

-- What the net says by itself, one symbol after the other, behind symbols and the delimiter.
local function said(net, x, length)
  local given = x:slice({}, { 1, length + 1 })
  for _ = 1, length do
    local y = net(given)
    local next = y:slice({}, { given.shape[2] }):argmax(3)
    given = tensor.concat({ given:cast "int32", next:reshape(#x, 1) }, 2):eval()
  end
  return given:slice({}, { length + 2, 2 * length + 1 })
end

-- A row of 2 * length steps: length symbols, then the same again. Share of rows that are right
-- in all symbols.
local function copied(length, symbols, size, blocks, rows, epochs)
  tensor.seed(1)
  local net = copier(length, symbols, size, blocks)
  local h = fit(net, data.copy_symbols { n = rows, length = length, symbols = symbols, seed = 1 },
    { loss = "sparse_categorical_crossentropy", epochs = epochs, batch_size = 64,
      optimizer = optim.Adam { lr = 2e-3 } })
  local x = data.copy_symbols { n = 100, length = length, symbols = symbols, seed = 2 }:tensors()
  local right = said(net, x, length):eq(x:slice({}, { 1, length })):min(2):mean():item()
  return right, h.loss[#h.loss]
end

function tests.test_a_transformer_copies()
  local right, last = copied(3, 4, 16, 1, 1000, 15)
  check.yes(right >= 0.9, ("short: %.2f right, loss %.3g"):format(right, last))
  if not long then return end
  right, last = copied(10, 10, 64, 2, 8000, 12)
  check.yes(right >= 0.99, ("10 of 10 symbols: %.2f right, loss %.3g"):format(right, last))
end

-- -- words with padding ------------------------------------------------------------------

-- Left or right, the same loss of the character that follows.
function tests.test_padded_words_on_either_side()
  local words = {}
  for word in ("one two three four five six seven eight nine ten eleven twelve"):gmatch "%a+" do
    words[#words + 1] = word
  end
  local path = check.file("words.txt", table.concat(words, "\n") .. "\n")
  local function losses(side, kind)
    tensor.seed(4)
    local set = data.lines(path, { padding = side, predict = "each" })
    local n = #set.vocabulary
    local inner = kind == "lstm" and nn.LSTM(8, { return_sequences = true }) or
      nn.TransformerEncoder(2, 16, { causal = true, norm_first = kind == "pre" })
    local net = nn.Sequential { nn.Embedding(n, 8, { mask_zero = true }),
      nn.SinePositionEncoding { scale = true }, inner, nn.Dense(n) }
    local h = fit(net, set, { loss = "sparse_categorical_crossentropy",
      optimizer = optim.Adam { lr = 0.01 }, epochs = long and 60 or 6, batch_size = 5,
      shuffle = "none", metrics = { "accuracy" } })
    return h.loss, h.accuracy
  end
  for _, kind in ipairs { "pre", "post", "lstm" } do
    local left, right = losses("left", kind), losses("right", kind)
    check.near(left, right, check.eps < 1e-10 and 1e-9 or long and 1e-2 or 1e-4)
    check.yes(left[#left] < left[1])
  end
end

-- -- characters --------------------------------------------------------------------------

local licence = "/usr/share/common-licenses/GPL-3"

local function entropy_of(text)
  local count, bits = {}, 0
  for c in text:gmatch "." do count[c] = (count[c] or 0) + 1 end
  for _, k in pairs(count) do bits = bits - k / #text * math.log(k / #text, 2) end
  return bits
end

-- A net of 64 units on the GNU General Public License: on its last tenth, which it has not seen,
-- it needs at least 1 bit a character less than the entropy of single characters of that part.
function tests.test_characters_of_a_licence()
  if not long then return end
  local f = io.open(licence, "rb")
  if not f then return print("not there: " .. licence) end
  local text = f:read "a"
  f:close()
  local cut = #text * 9 // 10
  tensor.seed(1)
  local vocabulary = data.text(licence).vocabulary
  local learnt = data.text(check.file("first.txt", text:sub(1, cut)), { length = 64,
    predict = "each", step = 16, vocabulary = vocabulary })
  local n = #vocabulary
  local net = nn.Sequential { nn.Embedding(n, 64), nn.SinePositionEncoding { scale = true },
    nn.TransformerEncoder(4, 128, { layers = 2, causal = true, norm_first = true,
      dropout = 0.1 }), nn.Dense(n) }
  fit(net, learnt, { loss = "sparse_categorical_crossentropy", epochs = 8, batch_size = 32,
    optimizer = optim.Adam { lr = 2e-3 } })
  local last = text:sub(cut + 1)
  local unseen = data.text(check.file("last.txt", last), { length = 64, predict = "each",
    vocabulary = vocabulary })
  local bits = net:evaluate(unseen).loss / math.log(2)
  local ok = bits <= entropy_of(last) - 1
  check.yes(ok, ("%.2f bits a character, single characters %.2f"):format(bits, entropy_of(last)))
end

check.run(tests)
