-- data.lines: each line an example, with its class, its mask and its numbers.
local check = dofile "tests/check.lua"
local tests = {}

local function names()
  return { check.file("girls.txt", "Anna\r\nZoë\n\n  \nIda"), check.file("boys", "Bo\nIan\n") }
end

function tests.test_files_are_classes()
  local set = data.lines(names())
  local x, y, weight, mask = set:tensors()
  check.equal({ set.class_names, #set, set.features }, { { "girls", "boys" }, 5, { 4 } })
  check.equal(set.vocabulary:decode(x), { "Anna", "Zoë", "Ida", "Bo", "Ian" })
  check.equal(y:totable(), { 1, 1, 1, 2, 2 })
  check.equal(weight, nil)
  check.near(mask:sum(2), { 4, 3, 3, 2, 3 })
  check.near(mask, x:gt(0))
  check.equal(set.vocabulary[1], "<unk>")
  check.yes(x:slice({}, { 1, 2 }):min():item() >= 2)
end

function tests.test_sides()
  local path = check.file("s.txt", "abcd\na\nbcd")
  local function rows(options)
    local set = data.lines(path, options)
    local x, y, _, mask = set:tensors()
    check.equal({ y, set.classes }, { nil, nil })
    check.near(mask, x:gt(0))
    return x:totable()
  end
  check.equal(rows {}, { { 2, 3, 4, 5 }, { 2, 0, 0, 0 }, { 3, 4, 5, 0 } })
  check.equal(rows { padding = "left" }, { { 2, 3, 4, 5 }, { 0, 0, 0, 2 }, { 0, 3, 4, 5 } })
  check.equal(rows { length = 2 }, { { 2, 3 }, { 2, 0 }, { 3, 4 } })
  check.equal(rows { length = 2, truncate = "left", padding = "left" },
    { { 4, 5 }, { 0, 2 }, { 4, 5 } })
  check.equal(rows { length = 5 }[2], { 2, 0, 0, 0, 0 })
end

function tests.test_labels_in_the_lines()
  local path = check.file("l.tsv", "pos\tgood film\nneg\tbad film , really\npos\tfine\n")
  local set = data.lines(path, { delimiter = "\t", by = "words" })
  local x, y = set:tensors()
  check.equal({ set.class_names, y:totable() }, { { "neg", "pos" }, { 2, 1, 2 } })
  check.equal(set.vocabulary:decode(x), { "good film", "bad film , really", "fine" })
  check.equal(set.vocabulary[2], "film")
  local function refused(text, ...)
    local file = check.file("bad.tsv", text)
    check.fails(function() return #data.lines(file, { delimiter = "\t" }) end, "bad.tsv", ...)
  end
  refused("a\tb\nc d", "line 2", 'the delimiter "\\t"')
  refused("a\tb\n\tc", "line 2", "no class")
  refused("a\tb\nc\t ", "line 2", "no text")
end

function tests.test_each_step_predicts_the_next()
  local set = data.lines(check.file("e.txt", "ab\nb"), { predict = "each" })
  local x, y, _, mask = set:tensors()
  check.equal(set.vocabulary:tokens(), { "<unk>", "<start>", "<end>", "a", "b" })
  check.equal(x:totable(), { { 2, 4, 5 }, { 2, 5, 0 } })
  check.equal(y:totable(), { { 4, 5, 3 }, { 5, 3, 0 } })
  check.near(mask, { 1, 1, 1, 1, 1, 0 })
  check.equal({ set.classes, set.vocabulary:decode(x) }, { 5, { "ab", "b" } })
  local short = data.lines(check.file("e.txt", "ab\nb"),
    { predict = "each", length = 2, truncate = "left", padding = "left" })
  local sx, sy = short:tensors()
  check.equal({ sx:totable(), sy:totable() }, { { { 4, 5 }, { 2, 5 } }, { { 5, 3 }, { 5, 3 } } })
  check.fails(function()
    return #data.lines(check.file("e.txt", "ab"),
      { predict = "each", vocabulary = data.vocabulary { "a", "b" } })
  end, "<start>")
end

function tests.test_second_text()
  local set = data.lines(names())
  local more = data.lines({ check.file("more", "Qanna") }, { vocabulary = set.vocabulary })
  check.equal(set.vocabulary:decode(more:tensors()), { "<unk>anna" })
  local strict = data.lines(names(), { unknown = false, lower = true })
  check.equal(strict.vocabulary:number "<unk>", nil)
  check.fails(function()
    return #data.lines(check.file("more", "ann\nanq"), { vocabulary = strict.vocabulary })
  end, "more", "line 2", '"q"')
end

function tests.test_many_tokens_and_a_class_of_several_files()
  local words = {}
  for i = 1, 300 do words[i] = "w" .. i end
  local path = check.file("many", table.concat(words, " "))
  local set = data.lines({ path, path }, { by = "words", classes = { "w", "w" } })
  check.equal({ #set.vocabulary, set.classes, #set }, { 301, 1, 2 })
  check.equal(set.vocabulary:decode(set:tensors())[2], table.concat(words, " "))
  check.fails(function() return #data.lines { path, path } end, "many", "another file", "classes =")
  check.equal(#data.lines({ path, path }, { predict = "each" }), 2)
end

function tests.test_it_refuses()
  local paths = names()
  check.fails(function() return #data.lines("no/words", { package = "wamerican" }) end,
    "no/words is not there", "install the package wamerican")
  check.fails(function() return #data.lines "no/words" end, "no/words")
  check.fails(function() return #data.text("no/words", { package = "wamerican" }) end,
    "install the package wamerican")
  check.fails(function() return #data.lines { paths[1], check.file("void", " \n\n") } end, "void",
    "no lines")
  check.fails(function() return #data.lines(check.file("l1", "ab\n\xe9t\xe9")) end, "l1",
    "line 2", "UTF-8")
  check.fails(function() data.lines(paths, { classes = { "a" } }) end, "1 names for 2 files")
  check.fails(function() data.lines(paths, { classes = { "a", "b" }, delimiter = " " }) end,
    '"classes"', "delimiter")
  check.fails(function() data.lines(paths, { padding = "middle" }) end, '"padding"', '"left"')
  check.fails(function() data.lines() end, '"path" is missing')
  check.fails(function() return data.lines(paths).vocabulry end, 'did you mean "vocabulary"')
end

-- What a function makes of a text may be shorter: the mask follows, and both sets are one.
function tests.test_made_texts()
  local set = data.lines(check.file("made.txt", "ab cd\nef"), { by = "words", padding = "left" })
  local v = set.vocabulary
  local made = set:map(function(x)
    return (v:encode(v:decode(x):match "%S+", { length = #x, padding = "left" }))
  end)
  local x, _, _, mask = set:concat(made):tensors()
  check.equal(v:decode(x), { "ab cd", "ef", "ab", "ef" })
  check.near(mask, { 1, 1, 0, 1, 0, 1, 0, 1 })
end

-- Sets of one path with other vocabularies are not one in the cache of a study.
function tests.test_each_vocabulary_is_its_own_in_a_study()
  local script = check.file("study.lua", [[
    experiment { name = "own", seeds = 1, factors = { tokens = { "ab", "ba" } }, metric = "first",
      goal = "max", trial = function(c)
        local own = data.vocabulary({ c.tokens:sub(1, 1), c.tokens:sub(2) }, { by = "characters" })
        local x = data.lines("ab.txt", { vocabulary = own }):tensors()
        return { first = x[1][1]:item() }
      end }
  ]])
  check.file("ab.txt", "ab")
  local _, err, status = check.runner { "--runs", "own", "--jobs", "1", script }
  check.equal(status, 0, err)
  local out = check.runner { "--runs", "own", "ls", "own", "--format=csv" }
  check.yes(out:find "complete,ab,1," ~= nil and out:find "complete,ba,2," ~= nil, out)
end

check.run(tests)
