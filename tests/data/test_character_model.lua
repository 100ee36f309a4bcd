-- A model of characters: how much better than single characters it predicts the next one.
local check = dofile "tests/check.lua"
local tests = {}

-- Bits of a character by itself: the entropy of how often each occurs.
local function entropy(set)
  local _, y = set:tensors()
  local share = y:one_hot(set.classes):reshape(y.shape[1] * y.shape[2], set.classes):mean(1)
  return -(share * (share + 1e-12):log()):sum():item() / math.log(2)
end

-- The program's own manual, of which the last fifth is read to be tested on.
function tests.test_a_bit_less_than_single_characters()
  local set = data.text("README.md", { length = 32, predict = "each", lower = true })
  local known, test = set:split(0.8, { shuffle = false })
  local net = nn.Sequential { nn.Embedding(set.classes, 24),
    nn.LSTM(96, { return_sequences = true }), nn.Dense(set.classes) }
  train.fit(net, known, { loss = "cross_entropy", epochs = 3, batch_size = 8,
    optimizer = optim.Adam { lr = 0.02, clipnorm = 1 }, verbose = false })
  local single = entropy(test)
  local bits = net:evaluate(test, { loss = "cross_entropy" }).loss / math.log(2)
  check.yes(single > 4 and bits <= single - 1, ("%.2f of %.2f bits"):format(bits, single))
end

check.run(tests)
