-- Vocabularies: how texts are cut into characters and words, which numbers tokens get, texts as
-- numbers and back, files of vocabularies.
local check = dofile "tests/check.lua"
local tests = {}

-- The tokens of a text, in their order: each line is a row, and all of them are decoded.
local function cut(text, options)
  options = options or {}
  options.length, options.predict = 1, "next"
  local set = data.text(check.file("cut.txt", text .. "\nx x"), options)
  return set.vocabulary:tokens()
end

function tests.test_words()
  local text = "Don't stop, e-mail me -- l\u{2019}été\u{a0}2024 (\u{201c}ÄB\u{201d})!\ta_b  x"
  check.equal(cut(text, { by = "words" }), { "x", "-", "!", "(", ")", ",", "2024", "Don't", "_",
    "a", "b", "e-mail", "l\u{2019}été", "me", "stop", "ÄB", "\u{201c}", "\u{201d}" })
  check.equal(cut("Weiß ΑΣ Ж Ğ ÿŸ Ẁ ×", { by = "words", lower = true }),
    { "x", "weiß", "×", "ÿÿ", "ğ", "ασ", "ж", "ẁ" })
  check.equal(cut("日本 語", { by = "words" }), { "x", "日本", "語" })
end

function tests.test_characters_are_whole_and_in_the_order_of_their_codes()
  check.equal(cut("né日🙂b"), { "\n", " ", "b", "n", "x", "é", "日", "🙂" })
  local v = data.text(check.file("c.txt", "né日🙂b"), { length = 1 }).vocabulary
  check.equal(v:decode(v:encode "🙂né"), "🙂né")
  check.fails(function() v:encode "nz" end, "line 1", 'character "z" (U+007A)')
  check.fails(function() v:encode "\xff" end, "not UTF-8")
  check.equal(v:encode "":totable(), {})
  local short = data.vocabulary { "a", "b" }
  for i = 1, 2000 do check.equal(short:number("a\0" .. i), nil) end
  check.equal(v:decode(v:encode ""), "")
end

-- Options that say how one is made are no silent ones where one is given.
function tests.test_a_given_vocabulary_is_not_made_again()
  local path = check.file("g.txt", "b a b c\na b d c")
  local words = data.text(path, { by = "words", length = 2, unknown = true }).vocabulary
  local small = data.text(path, { by = "words", length = 2, lower = true }).vocabulary
  local function set(options, of)
    options.vocabulary, options.length = of or words, 2
    return data.text(path, options)
  end
  for name, value in pairs { lower = true, min_count = 2, max_tokens = 3 } do
    check.fails(function() set { [name] = value } end, '"' .. name .. '"', "one is given")
  end
  check.equal(#set { by = "words", unknown = true, min_count = 1, max_tokens = 0 }, 3)
  check.equal(#set({ lower = true }, small), 3)
end

function tests.test_counts_decide_which_words_are_kept()
  local path = check.file("w.txt", "b a b c a b d c")
  local function words(options)
    options.by, options.length = "words", 2
    return data.text(path, options).vocabulary:tokens()
  end
  check.equal(words {}, { "b", "a", "c", "d" })
  check.equal(words { unknown = true, min_count = 2 }, { "<unk>", "b", "a", "c" })
  check.equal(words { unknown = true, max_tokens = 3 }, { "<unk>", "b", "a" })
  local set = data.text(path, { by = "words", length = 2, unknown = true, max_tokens = 3 })
  check.near(set:tensors(), { 2, 3, 2, 1, 3, 2 })
  check.equal({ set.classes, set.class_names[1] }, { 3, "<unk>" })
  check.fails(function() return #data.text(path, { by = "words", length = 2, min_count = 2 }) end,
    "line 1", 'word "d"', "unknown = true")
end

function tests.test_texts_as_rows()
  local v = data.vocabulary { "<unk>", "a", "dog", "barks" }
  local x, mask = v:encode({ "a dog", "a a big dog barks", "" }, { length = 4, padding = "left",
    truncate = "left" })
  check.equal({ x.dtype, x:totable() },
    { "int32", { { 0, 0, 2, 3 }, { 2, 1, 3, 4 }, { 0, 0, 0, 0 } } })
  check.near(mask, { 0, 0, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0 })
  check.equal(v:decode(x), { "a dog", "a <unk> dog barks", "" })
  check.equal(v:encode({ "dog", "a dog" }):totable(), { { 3, 0 }, { 2, 3 } })
  check.equal(v:encode("a dog barks", { length = 2 }):totable(), { 2, 3 })
  check.equal(v:decode { 2, 3 }, "a dog")
  check.equal({ #v, v[3], v[5], v:number "dog", v:number "cat" }, { 4, "dog", nil, 3, nil })
  check.fails(function() v:decode { 5 } end, "got 5", "1 to 4")
  check.fails(function() v:decode { 1.5 } end, "got 1.5", "whole")
  check.fails(function() v:decode(tensor.ones(1, 1, 1)) end, "1x1x1")
  check.fails(function() v:encode { "a", {} } end, "table", "text")
  check.fails(function() data.vocabulary({ "a", "dog" }):encode { "dog", "a\ncat" } end,
    "vocabulary.encode: text 2: line 2", 'word "cat"')
  check.fails(function() v:encode("a", { lenght = 2 }) end, 'did you mean "length"')
  check.fails(function() return v.encod end, "vocabulary", 'did you mean "encode"')
  check.fails(function() v.x = 1 end, "do not change")
end

function tests.test_files()
  local v = data.vocabulary({ "\n", "ä", '"', "\\" }, { by = "characters", lower = true })
  local path = check.temp .. "/v.json"
  check.equal(v:save(path), v)
  local again = data.vocabulary(path)
  check.equal(again:tokens(), v:tokens())
  check.equal(tostring(again), "vocabulary of 4 characters, in small letters")
  check.equal(again:encode "Ä\n":totable(), { 2, 1 })
  check.fails(function() data.vocabulary "no/such" end, "data.vocabulary", "no/such")
  local function broken(text, ...)
    local file = check.file("broken.json", text)
    check.fails(function() data.vocabulary(file) end, "broken.json", ...)
  end
  broken("{", "line 1")
  broken("[1]", "is no vocabulary")
  broken('{ "by": "letters", "lower": false, "tokens": [] }', "is no vocabulary")
  broken('{ "by": "words", "lower": false, "tokens": ["a", 3] }', "token 2", "no text")
  broken('{ "by": "words", "lower": false, "tokens": ["a", "a"] }', "token 2", "twice")
  check.fails(function() data.vocabulary { "a", "" } end, "token 2", "empty")
  check.fails(function() data.vocabulary { "a", "b", "a" } end, "token 3", "twice")
end

function tests.test_a_second_text_has_the_numbers_of_the_first()
  local first = data.text(check.file("1.txt", "banana"), { length = 2 })
  local second = data.text(check.file("2.txt", "nab"), { length = 2,
    vocabulary = first.vocabulary })
  check.near(second:tensors(), { 3, 1 })
  check.fails(function()
    data.text("2.txt", { by = "words", vocabulary = first.vocabulary })
  end, '"by"', "words", "characters")
  check.fails(function() data.text("2.txt", { vocabulary = 3 }) end, '"vocabulary"', "a number")
  check.fails(function() data.text("2.txt", { vocabulary = "ab\0" }) end, "zero byte")
  local other = data.text(check.file("3.txt", "nabc"), { length = 2 })
  check.fails(function() first:concat(other) end, "vocabulary = first.vocabulary")
  check.equal(#first:concat(second), 3)
  check.equal(first:take(1).vocabulary:tokens(), { "a", "b", "n" })
  check.equal(data.moons().vocabulary, nil)
end

-- What is measured beside a fit has the numbers of what is trained on, of tokens and of classes.
function tests.test_sets_beside_a_fit_number_alike()
  local function fit(set, options)
    local net = nn.Sequential { nn.Embedding(9, 4, { mask_zero = true }),
      nn.LSTM(4, { return_sequences = options.each }), nn.Dense(9) }
    options.loss, options.epochs, options.verbose, options.each = "cross_entropy", 1, false, nil
    train.fit(net, set, options)
  end
  local first = data.lines(check.file("1.txt", "abc\nb"), { predict = "each" })
  local second = data.lines(check.file("2.txt", "ca\nb"), { predict = "each" })
  local third = data.lines(check.file("3.txt", "acd"), { predict = "each" })
  local same = data.lines(check.file("3.txt", "acd"), { predict = "each",
    vocabulary = first.vocabulary })
  fit(first, { validation_data = same, test = second, each = true })
  for _, name in ipairs { "validation_data", "test" } do
    check.fails(function() fit(first, { [name] = third, each = true }) end, "train.fit: ",
      'token 5 is "c" in lines, "b" in lines', "vocabulary =")
  end
  local function labelled(name, text)
    return data.lines(check.file(name, text), { delimiter = ":", vocabulary = first.vocabulary })
  end
  local animals = labelled("animals.txt", "cat:a\ncow:b\ndog:c")
  fit(animals, { test = labelled("few.txt", "cat:b"),
    validation_data = labelled("own.txt", "x:a") })
  check.fails(function() fit(animals, { test = labelled("no_cow.txt", "cat:a\ndog:b") }) end,
    "train.fit: test", 'class "dog" is number 2 in lines, 3 in lines')
end

function tests.test_a_net_remembers_that_of_its_texts()
  local set = data.lines(check.file("r.txt", "abba\nbé"), { predict = "each" })
  local function made()
    return nn.Sequential { nn.Embedding(set.classes, 4, { mask_zero = true }),
      nn.LSTM(4, { return_sequences = true }), nn.Dense(set.classes) }
  end
  local net = made()
  check.equal(net:vocabulary(), nil)
  train.fit(net, set, { loss = "cross_entropy", epochs = 1, verbose = false })
  check.equal(net:vocabulary():tokens(), set.vocabulary:tokens())
  local path = check.temp .. "/net.safetensors"
  net:save(path)
  local again = made():build { 5 }
  again:load(path)
  check.equal(again:vocabulary():decode(set.vocabulary:encode "éa"), "éa")
  check.equal(net:clone():vocabulary():tokens(), set.vocabulary:tokens())
  -- Rows without a vocabulary take none away; what is no vocabulary is an error where it is asked.
  local x, y, _, mask = set:tensors()
  train.fit(net, data.set(x, y, { mask = mask, classes = set.classes }),
    { loss = "cross_entropy", epochs = 1, verbose = false })
  check.equal(#net:vocabulary(), #set.vocabulary)
end

check.run(tests)
