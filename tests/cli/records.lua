-- What the tests of commands on records share: running them, a study made by hand.

local check = dofile "tests/check.lua"

-- Hashes of { factors = { act = ... }, args = { lr = 0.5 } }.
local relu, tanh = "e47753f57f08c5be", "19d889afa05af810"
local zeros = ("0"):rep(16)

local function has(text, ...)
  for _, part in ipairs { ... } do
    if not text:find(part, 1, true) then error(("no %q in:\n%s"):format(part, text), 2) end
  end
end

local function lacks(text, part)
  if text:find(part, 1, true) then error(("%q in:\n%s"):format(part, text), 2) end
end

-- Runs a command that must end with status 0; gives stdout and stderr.
local function runner(...)
  local out, err, status = check.runner { ... }
  if status ~= 0 then error(("status %s: %s"):format(status, err), 2) end
  return out, err
end

local function fails(status, part, ...)
  local out, err, got = check.runner { ... }
  check.equal({ got, out }, { status, "" })
  has(err, part)
end

local function make_trial(runs, hash, seed, act, state, accuracy)
  local dir = ("%s/study/trials/%s-s%d"):format(runs, hash, seed)
  os.execute(("mkdir -p '%s/%s'"):format(check.temp, dir))
  check.file(dir .. "/config.json",
    ('{"args": {"lr": 0.5}, "factors": {"act": "%s"}, "seed": %d}'):format(act, seed))
  check.file(dir .. "/meta.json", [[{"fingerprint": "f00d", "threads": 1,
    "sources": {"lr": "command line", "act": "script"},
    "attempts": [{"attempt": 1, "started": "2026-01-01T00:00:00Z", "wall_s": 2.5,
      "state": "]] .. state .. [["}]}]])
  check.file(dir .. "/metrics.csv", "epoch,loss,\"a,b\",time_s\n1,0.5,1,0.1\n2,0.25,nan,0.1\n")
  if state ~= "interrupted" then
    check.file(dir .. "/result.json",
      ('{"state": "%s", "message": "m|_x", "values": {"accuracy": %s, "lr": 0.1}}')
        :format(state, accuracy))
  end
  check.file(dir .. "/checkpoint-2.safetensors", "0123456789")
end

-- Two cells and two seeds: complete .5 and .75, failed, interrupted; one that no longer
-- belongs.
local function make_study(runs)
  make_trial(runs, relu, 1, "relu", "complete", 0.5)
  make_trial(runs, relu, 2, "relu", "complete", 0.75)
  make_trial(runs, tanh, 1, "tanh", "failed", '"nan"')
  make_trial(runs, tanh, 2, "tanh", "interrupted")
  make_trial(runs, zeros, 1, "elu", "complete", 0.125)
  check.file(runs .. "/study/experiment.json", [[{"name": "study", "script": "s.lua",
    "args": {"lr": 0.5}, "factors": [{"name": "act", "levels": ["relu", "tanh"]}],
    "baseline": {"act": "relu"}, "metric": "accuracy", "report": "accuracy", "goal": "max",
    "seeds": [1, 2], "cells": [{"act": "relu"}, {"act": "tanh"}], "skipped": []}]])
end

local function exists(name)
  local file = io.open(check.temp .. "/" .. name)
  if file then file:close() end
  return file ~= nil
end

local function shell(command)
  local pipe = assert(io.popen(("cd '%s' && { %s; } 2>&1"):format(check.temp, command)))
  local said = pipe:read "a"
  pipe:close()
  return said
end

return { relu = relu, tanh = tanh, zeros = zeros, has = has, lacks = lacks, runner = runner,
  fails = fails, make_trial = make_trial, make_study = make_study, exists = exists,
  shell = shell }
