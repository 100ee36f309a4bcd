-- explain_step.lua: train.explain, one training step with everything that is computed in it, as a
-- textbook works back-propagation out by hand.
--
-- The step is a real one, of train.step: its expression is listed by internal.trace, and every
-- value and derivative is among its results, so nothing is computed twice or in another way.

local internal = ...
local grad, optim, tensor, train = internal.names.grad, internal.names.optim,
  internal.names.tensor, internal.names.train

local options = {
  loss = { "function of output and target, or the name of a loss; default: mse", "a loss" },
  optimizer = { "what updates the parameters; default: sgd", "an optimizer" },
}
local usage = "train.explain(net, x, y, { optimizer = optim.SGD { lr = 0.5 } })"
local MOST_NUMBERS = 1000   -- of a tensor that is printed whole

-- At the user's line: `depth` is 1 in train.explain itself, 2 in what it calls.
local function refuse(depth, format, ...)
  error("train.explain: " .. format:format(...), depth + 2)
end

local function check(given)
  if type(given) ~= "table" then refuse(2, "got %s; allowed: a table of options", type(given)) end
  for key in pairs(given) do
    if not options[key] then
      local nearest = internal.nearest(tostring(key), options)
      refuse(2, "unknown option %q%s", tostring(key),
        nearest and ('; did you mean "%s"?'):format(nearest) or "")
    end
  end
end

-- A name is one of the module, which refuses others with the nearest.
local function made(module, given) return type(given) == "string" and module[given] {} or given end

-- -- the step ----------------------------------------------------------------------------

-- A name for each part: its own, a number where it holds one, else v1, v2, ... in order.
local function name_parts(parts)
  local n = 0
  parts[#parts].name = parts[#parts].name or "loss"
  for _, part in ipairs(parts) do
    part.is_leaf = #part.inputs == 0
    if not part.name then
      local constant = part.is_leaf and part.tensor
      if constant and #constant.shape == 0 then
        part.name = ("%.8g"):format(constant:item())
      else
        n = n + 1
        part.name = "v" .. n
      end
    end
  end
end

local function users_of(parts)
  for i, part in ipairs(parts) do
    part.users = {}
    for _, k in ipairs(part.inputs) do
      local users = parts[k].users
      if users[#users] ~= i then users[#users + 1] = i end
    end
  end
end

-- d (part) / d (input), element by element, where the one is made of the other so.
local function own_derivative(part, input)
  local same = table.concat(part.tensor.shape, "x") == table.concat(input.tensor.shape, "x")
  if not (part.elementwise and input.tracked and same) then return nil end
  return grad(part.tensor, { input.tensor }, tensor.ones(table.unpack(part.tensor.shape)))[1]
end

-- Adds to each part its derivatives, as expressions; gives the list of all values to return.
local function differentiate(parts)
  local tracked, values = {}, {}
  for _, part in ipairs(parts) do
    if part.tracked then tracked[#tracked + 1] = part end
  end
  local wrt = {}
  for i, part in ipairs(tracked) do wrt[i] = part.tensor end
  local function want(part, field, expression, key)
    values[#values + 1] = { into = key and part[field] or part, key = key or field,
                            value = expression }
  end
  for i, g in ipairs(grad(parts[#parts].tensor, wrt)) do want(tracked[i], "gradient", g) end
  for i, part in ipairs(parts) do
    part.own = {}
    want(part, "value", part.tensor)
    for _, k in ipairs(part.is_leaf and {} or part.inputs) do
      local d = own_derivative(parts[i], parts[k])
      if d then want(part, "own", d, k) end
    end
  end
  return values
end

local function tensors_of(values)
  local list = {}
  for i, v in ipairs(values) do list[i] = v.value end
  return table.unpack(list)
end

local function step_once(net, x, y, criterion, optimizer)
  local parts, values
  local step = train.step(function(input, target)
    local loss = criterion(net(input), target)
    parts = internal.trace(loss, input, "x", target, "y")
    name_parts(parts)
    users_of(parts)
    values = differentiate(parts)
    return loss, tensors_of(values)
  end, net, optimizer)
  local results = table.pack(step(x, y))
  for i, v in ipairs(values) do v.into[v.key] = results[i + 1] end
  for _, part in ipairs(parts) do part.tensor = nil end
  return parts, results[1]
end

-- -- the text ----------------------------------------------------------------------------

local function digits(v)
  local size = math.abs(v)
  return (v == 0 or size >= 1e-3 and size < 1e6) and ("%.8f"):format(v) or ("%.7e"):format(v)
end

-- Rows of numbers, indented; tensors of more axes as their last two, one after the other.
local function add_value(lines, value)
  if type(value) == "number" then
    lines[#lines + 1] = "      " .. digits(value)
    return
  end
  local shape = value.shape
  local columns, n = shape[#shape] or 1, 1
  for _, d in ipairs(shape) do n = n * d end
  if n > MOST_NUMBERS then
    lines[#lines + 1] = ("      %d numbers"):format(n)
    return
  end
  local flat = value:reshape(n):totable()
  for first = 1, n, columns do
    local row = {}
    for i = first, first + columns - 1 do row[#row + 1] = ("%16s"):format(digits(flat[i])) end
    lines[#lines + 1] = "  " .. table.concat(row)
  end
end

local function call_text(parts, part)
  local names = {}
  for i, k in ipairs(part.inputs) do names[i] = parts[k].name end
  return ("%s = %s(%s)"):format(part.name, part.op, table.concat(names, ", "))
end

local function add_forward(lines, parts)
  lines[#lines + 1] = "Forward"
  for _, part in ipairs(parts) do
    local number = part.is_leaf and tonumber(part.name)
    if not number then
      local text = part.is_leaf and part.name or call_text(parts, part)
      lines[#lines + 1] = "  " .. text .. (part.layer and "   (" .. part.layer .. ")" or "")
      add_value(lines, part.value)
    end
  end
end

-- By the chain rule: one product for each part that it goes into.
local function chain_text(parts, part)
  local terms = {}
  for _, u in ipairs(part.users) do
    local user = parts[u]
    if user.tracked then
      terms[#terms + 1] = ("d loss/d %s . d %s/d %s"):format(user.name, user.name, part.name)
    end
  end
  return table.concat(terms, " + ")
end

local function add_backward(lines, parts)
  lines[#lines + 1] = "Backward, by the chain rule"
  for i = #parts - 1, 1, -1 do
    local part = parts[i]
    if part.gradient then
      for _, u in ipairs(part.users) do
        local own = parts[u].own[i]
        if own then
          lines[#lines + 1] = ("  d %s/d %s, %s of each element"):format(parts[u].name, part.name,
                                                                        parts[u].op)
          add_value(lines, own)
        end
      end
      lines[#lines + 1] = ("  d loss/d %s = %s"):format(part.name, chain_text(parts, part))
      add_value(lines, part.gradient)
    end
  end
end

local function add_update(lines, updates, optimizer)
  local record = internal.describe(optimizer)
  lines[#lines + 1] = ("Update, by %s, lr = %s"):format(record.path, optimizer.lr)
  if record.equation then lines[#lines + 1] = "  " .. record.equation end
  for _, u in ipairs(updates) do
    lines[#lines + 1] = ("  %s: before, gradient, after"):format(u.name)
    add_value(lines, u.before)
    add_value(lines, u.gradient)
    add_value(lines, u.after)
  end
end

local function text_of(result)
  local lines = {}
  add_forward(lines, result.parts)
  add_backward(lines, result.parts)
  add_update(lines, result.updates, result.optimizer)
  return table.concat(lines, "\n")
end

-- -- the function ------------------------------------------------------------------------

local function explain(net, x, y, given)
  given = given or {}
  check(given)
  local criterion = made(internal.names.loss, given.loss or "mse")
  local optimizer = made(optim, given.optimizer or "sgd")
  if optimizer.accumulate > 1 then
    refuse(1, 'option "optimizer": got one that updates after %d steps; allowed: accumulate = 1',
      optimizer.accumulate)
  end
  net(x)   -- builds what is not built yet
  local before = net:state()
  local parts, loss = step_once(net, x, y, criterion, optimizer)
  local after, by_name, updates = net:state(), {}, {}
  for _, part in ipairs(parts) do by_name[part.name] = part end
  for _, v in ipairs(net:parameters()) do
    local part = by_name[v.name]
    updates[#updates + 1] = { name = v.name, before = before[v.name], after = after[v.name],
                              gradient = part and part.gradient or 0 }
  end
  return setmetatable({ parts = parts, loss = loss, updates = updates, optimizer = optimizer },
    { __tostring = text_of })
end

local list = {}
for name, option in pairs(options) do
  list[#list + 1] = { name = name, doc = option[1], allowed = option[2], alias = {}, values = {} }
end
table.sort(list, function(a, b) return a.name < b.name end)

internal.step = { explain = explain, options = list }

return {}
