-- declarations.lua: what may declare arguments, found in the text of a script before it runs.
--
-- Read are the tokens of the script (so no comment and no string looks like code) and of all
-- modules and files that they name by literals. What must hold: a script is said to declare
-- all at one place only where nothing else in it could: an args or experiment that goes about
-- under another name, names that are computed, code made of texts, a module whose name is put
-- together leave it open.

local internal = ...

local function is_literal(text)
  return text and (text:find "^[\"']" or text:find "^%[=*%[") ~= nil
end

-- What the token of a string says; nil where it is not plain.
local function said(text)
  local inside = text:match "^%[=*%[(.*)%]=*%]$" or text:sub(2, -2)
  return not inside:find "\\" and inside or nil
end

local Scan = {}
Scan.__index = Scan

-- Texts of the token before this place, of the one after it and of the next.
function Scan:around(tokens, i)
  local text = function(at) return tokens[at] and tokens[at].text end
  return text(i - 1), text(i + 1), text(i + 2)
end

-- The name that a call of require, dofile or loadfile is given, if that is written there.
function Scan:name_given(tokens, i)
  local before, after, inside = self:around(tokens, i)
  if before == "." or before == ":" then return nil end
  local whole = after ~= "(" or tokens[i + 3] and tokens[i + 3].text == ")"
  local text = after == "(" and inside or after
  local name = whole and is_literal(text) and said(text)
  if not name then self.open = true end
  return name
end

local words = {}   -- word -> what follows from its token at place i

function words.experiment(scan, tokens, i)
  local _, after = scan:around(tokens, i)
  scan.open = true
  scan.experiment = scan.experiment or after == "{" or after == "("
end

-- `local args = args { ... }`: from there on the word is the table.
local function names_its_table(tokens, i)
  local text = function(back) return tokens[i - back] and tokens[i - back].text end
  return text(1) == "=" and (text(2) == "args" or text(2) == ">" and text(5) == "args")
end

-- Has the table whose "{" is at this place a key in brackets? It may have another one each time.
local function computes_names(tokens, i)
  local depth = 0
  for at = i, #tokens do
    local text, before = tokens[at].text, tokens[at - 1] and tokens[at - 1].text
    depth = depth + (text == "{" and 1 or text == "}" and -1 or 0)
    if depth == 0 then return false end
    local begins = before == "{" or before == "," or before == ";"
    if depth == 1 and text == "[" and begins then return true end
  end
end

function words.args(scan, tokens, i)
  local before, after, inside = scan:around(tokens, i)
  if after == "{" or after == "(" and inside == "{" then
    scan.n_args = scan.n_args + 1
    scan.open = scan.open or computes_names(tokens, after == "{" and i + 1 or i + 2)
    scan.own = scan.own or names_its_table(tokens, i)
  elseif before ~= "local" and after ~= "." and after ~= "[" and not scan.own then
    scan.open = true
  end
end

function words.require(scan, tokens, i)
  local name = scan:name_given(tokens, i)
  local loaded = name and package.loaded[name]
  if name and not (loaded and internal.library.name_of(loaded)) then
    scan:file(package.searchpath(name, package.path))
  end
end

function words.dofile(scan, tokens, i) scan:file(scan:name_given(tokens, i)) end
words.loadfile = words.dofile

function words.load(scan, tokens, i)
  local before = scan:around(tokens, i)
  if before ~= "." and before ~= ":" then scan.open = true end
end

-- Ways to reach names and modules without writing them as a literal.
for _, word in ipairs { "_G", "_ENV", "package", "debug", '"args"', "'args'", '"experiment"',
  "'experiment'" } do
  words[word] = function(scan) scan.open = true end
end

function Scan:tokens(tokens)
  self.own = false
  for i, token in ipairs(tokens) do
    local rule = words[token.text]
    if rule then rule(self, tokens, i) end
  end
end

function Scan:file(path)
  local file = path and not self.seen[path] and internal.code.file_of(path)
  if not file then return end
  self.seen[path] = true
  local own = self.own
  self:tokens(file.tokens)
  self.own = own
end

-- { n_args: calls of args, experiment: is it called, open: may more be declared }.
local function scan_script()
  local scan = setmetatable({ n_args = 0, experiment = false, open = false, seen = {} }, Scan)
  if internal.script then scan:file(internal.script)
  elseif internal.chunk then scan:tokens(internal.code.tokens(internal.chunk))
  else scan.open = true end
  return scan
end

local scan

-- Is what is declared after n calls of args all that there will be? Nobody looks where nothing
-- was given to be checked.
function internal.declares_all(n)
  if internal.job or not internal.want_help and not next(internal.given) then return false end
  scan = scan or scan_script()
  return not scan.open and scan.n_args == n
end

-- Does the script call experiment?
local function has_experiment()
  scan = scan or scan_script()
  return scan.experiment
end

-- Before the script runs: where it declares nothing, nothing may be given.
local function check_undeclared()
  if internal.declares_all(0) then internal.check_arguments() end
end

return {}, { has_experiment = has_experiment, check_undeclared = check_undeclared }
