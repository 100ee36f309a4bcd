/* resume_scripts.h: what test_resume.c runs, stops and goes on with. */
#ifndef TESTS_RESUME_SCRIPTS_H
#define TESTS_RESUME_SCRIPTS_H

/* -- what the scripts share: everything that must be equal, as text ---------------- */

static const char prelude[] =
    "local function hex(bytes)\n"
    "  return (bytes:gsub('.', function(c) return ('%02x'):format(c:byte()) end))\n"
    "end\n"
    "local function flat(v, out)\n"
    "  if type(v) == 'table' then for _, x in ipairs(v) do flat(x, out) end\n"
    "  else out[#out + 1] = string.pack('d', v) end\n"
    "  return out\n"
    "end\n"
    "local function show(name, v)\n"
    "  if type(v) == 'userdata' then v = v:totable() end\n"
    "  result(name .. ' ' .. hex(table.concat(flat(v, {}))) .. '\\n')\n"
    "end\n"
    "local function show_net(net) for name, t in pairs(net:state()) do show(name, t) "
    "end end\n"
    "local function show_history(h)\n"
    "  local names = {}\n"
    "  for name in pairs(h) do names[#names + 1] = name end\n"
    "  table.sort(names)\n"
    "  for _, name in ipairs(names) do\n"
    "    if type(h[name]) == 'boolean' then result(name .. tostring(h[name]) .. "
    "'\\n')\n"
    "    elseif name ~= 'time_s' then show(name, h[name]) end\n"
    "  end\n"
    "end\n"
    "local function show_draws()\n"
    "  show('rand', tensor.rand(3)); show('random', math.random())\n"
    "  local net = nn.Sequential { nn.Dense(2) }; net:build { 3 }; show_net(net)\n"
    "end\n"
    "local SCE = 'sparse_categorical_crossentropy'\n"
    "local set = data.spirals { n = 90, classes = 3, noise = 0.3 }\n";

static const char adam[] =
    "local net = nn.Sequential { nn.Dense(12), nn.BatchNorm(), nn.activation('relu'),\n"
    "  nn.Dropout(0.3), nn.Dense(3) }\n"
    "local h = train.fit(net, set, { loss = SCE, optimizer = optim.Adam { lr = 0.05,\n"
    "  clipnorm = 0.5 }, epochs = 7, batch_size = 20, validation = 0.2, metrics = { "
    "'acc',\n"
    "  'confusion_matrix', 'roc_curve' }, test = set:take(30), run = run, verbose = "
    "false,\n"
    "  callbacks = { train.early_stopping { patience = 2 } } })\n"
    "show_net(net); show_history(h); show_draws(); result(net:summary())\n";

/* The net has its own weights in steps and their average at the ends of epochs. */
static const char averaged[] =
    "for _, average in ipairs { train.ema { decay = 0.6, every = 2 },\n"
    "  train.swa { start = 2, restore = true } } do\n"
    "  local net = nn.Sequential { nn.Dense(6, { activation = 'relu' }), "
    "nn.BatchNorm(),\n"
    "    nn.Dense(3) }\n"
    "  local h = train.fit(net, set, { loss = SCE, optimizer = optim.Adam { lr = 0.1,\n"
    "    accumulate = 2, groups = { { '*.bias', lr = 0.2 } } }, epochs = 3,\n"
    "    batch_size = 25, validation = 0.2, verbose = false, callbacks = { average,\n"
    "    train.reduce_on_plateau { factor = 0.5, patience = 1, cooldown = 1 },\n"
    "    train.early_stopping { patience = 3 } } })\n"
    "  show_net(net); show_history(h)\n"
    "end\n"
    "show_draws()\n";

/* Running statistics of the average, by a pass at the end of each epoch, which may be
 * interrupted, too. */
static const char recomputed[] =
    "for _, average in ipairs { train.ema { decay = 0.6, update_bn = true },\n"
    "  train.swa { statistics = 'recomputed', restore = true } } do\n"
    "  local ask = nn.Lambda(function(x) step_done() return x end)\n"
    "  local net = nn.Sequential { ask, nn.Dense(6), nn.BatchNorm(), nn.Dropout(0.2),\n"
    "    nn.Dense(3) }\n"
    "  local h = train.fit(net, set, { loss = SCE, epochs = 3, batch_size = 25,\n"
    "    optimizer = 'adam', validation = 0.2, verbose = false, run = run,\n"
    "    callbacks = { average } })\n"
    "  show_net(net); show_history(h)\n"
    "end\n";

/* Steps of several evaluations each. */
static const char searching[] =
    "local net = nn.Sequential { nn.Dense(6), nn.BatchNorm(), nn.activation('tanh'),\n"
    "  nn.Dropout(0.2), nn.Dense(3) }\n"
    "local h = train.fit(net, set, { loss = SCE, optimizer = optim.LBFGS {\n"
    "  line_search = 'strong_wolfe', history = 3, max_iter = 2, weight_decay = 0.01 "
    "},\n"
    "  epochs = 5, batch_size = 25, validation = 0.2, verbose = false })\n"
    "show_net(net); show_history(h); show_draws()\n";

static const char momentum[] =
    "local net = nn.Sequential { nn.Dense(9, { activation = 'tanh' }), "
    "nn.Dropout(0.2),\n"
    "  nn.Dense(3) }\n"
    "local opt = optim.SGD { lr = 0.3, momentum = 0.9, nesterov = true,\n"
    "  global_clipnorm = 0.7, weight_decay = 0.01, schedule = optim.cosine(14, {\n"
    "  per = 'step', warmup = 3 }) }\n"
    "local h = train.fit(net, set, { loss = SCE, optimizer = opt, epochs = 4,\n"
    "  batch_size = 25, shuffle = 'once', drop_last = true, verbose = false })\n"
    "show_net(net); show_history(h); show_draws()\n";

/* Everything that a callback may do, with memory; the rate falls on a plateau. */
static const char callbacks[] =
    "local drop = nn.Dropout(0.1)\n"
    "local net = nn.Sequential { nn.Dense(8, { activation = 'relu' }), drop, "
    "nn.LayerNorm(),\n"
    "  nn.Dense(3) }\n"
    "local opt = optim.AdamW { lr = 0.2 }\n"
    "local plateau = { best = math.huge, bad = 0, log = {} }\n"
    "function plateau:epoch_end(info)\n"
    "  if info.val_loss < self.best - 0.05 then self.best, self.bad = info.val_loss, "
    "0\n"
    "  else self.bad = self.bad + 1 end\n"
    "  if self.bad >= 1 then opt.lr, self.bad = opt.lr / 2, 0 end\n"
    "  self.log[info.epoch] = { opt.lr, math.random(), tensor.rand(2) }\n"
    "  drop.rate = 0.1 * info.epoch\n"
    "  if info.epoch == 2 then net:freeze 'dense_1' end\n"
    "  if info.epoch == 4 then net:unfreeze 'dense_1' end\n"
    "end\n"
    "function plateau:state()\n"
    "  return { best = self.best, bad = self.bad, log = self.log, text = 'a\\0\\xff' "
    "}\n"
    "end\n"
    "function plateau:restore(s)\n"
    "  assert(s.text == 'a\\0\\xff' and math.type(s.bad) == 'integer')\n"
    "  self.best, self.bad, self.log = s.best, s.bad, s.log\n"
    "  tensor.rand(9); math.random() -- must shift nothing\n"
    "end\n"
    "local n = 0\n"
    "local count = train.callback(function() n = n + 1; return n == 5 end,\n"
    "  { state = function() return n end, restore = function(v) n = v end })\n"
    "local h = train.fit(net, set, { loss = SCE, optimizer = opt, epochs = 6,\n"
    "  batch_size = 32, validation = 0.3, verbose = false, callbacks = { plateau, "
    "count,\n"
    "  train.checkpoint { path = os.getenv 'NET', monitor = 'loss', save_best_only = "
    "true } } })\n"
    "show_net(net); show_history(h); show_draws(); result(n .. opt.lr .. drop.rate)\n"
    "for _, row in ipairs(plateau.log) do show('row', { row[1], row[2] }); show('t', "
    "row[3]) end\n";

static const char probed[] =
    "local net = nn.Sequential { nn.Dense(9, { activation = 'tanh' }), "
    "nn.BatchNorm(),\n"
    "  nn.Dense(3) }\n"
    "local function freeze(info)\n"
    "  if info.epoch == 2 then net:freeze 'dense_1' end\n"
    "  if info.epoch == 3 then net:unfreeze 'dense_1' end\n"
    "end\n"
    "local h = train.fit(net, set, { loss = SCE, optimizer = 'Adam', epochs = 5,\n"
    "  batch_size = 25, probes = 'gradients', callbacks = { freeze }, verbose = false "
    "})\n"
    "for _, s in ipairs(h.probes.gradients) do\n"
    "  show(s.layer, { s.step_first, s.step_last, s.mean, s.min, s.max, s.last })\n"
    "end\n"
    "show_net(net)\n";

static const char sequence[] =
    "local opt = optim.Adam { lr = 0.03 }\n"
    "local a = nn.Sequential { nn.Dense(6, { activation = 'relu' }), nn.Dropout(0.4),\n"
    "  nn.Dense(3) }\n"
    "local options = { loss = SCE, optimizer = opt, epochs = 2, batch_size = 30,\n"
    "  verbose = false }\n"
    "local h = train.fit(a, set, options)\n"
    "local between = tensor.rand(2)\n"
    "local b = nn.Sequential { nn.Dense(5), nn.BatchNorm(), nn.Dropout(0.4), "
    "nn.Dense(3) }\n"
    "options.validation = 0.25\n"
    "options.callbacks = { train.schedule(function(epoch, lr) return lr / (epoch + 1) "
    "end) }\n"
    "local i = train.fit(b, set, options)\n"
    "local j = train.fit(a, set, { loss = SCE, optimizer = opt, verbose = false })\n"
    "show_net(a); show_net(b); show_history(h); show_history(i); show_history(j)\n"
    "show('between', between); show_draws()\n";

/* Functions of the script run at every step; the first fit diverges and is caught. */
static const char functions[] =
    "local bad = nn.Sequential { nn.Dense(4), nn.Dense(3) }\n"
    "local ok = pcall(train.fit, bad, set, { loss = SCE, optimizer = optim.SGD { lr = "
    "1e9 },\n"
    "  epochs = 3, batch_size = 30, verbose = false })\n"
    "local scale = { w = tensor.variable(tensor { 1, 2 }) }\n"
    "function scale:forward(x) return x * self.w + 0.01 * tensor.randn(2) end\n"
    "local net = nn.Sequential { scale, nn.Dense(6, { activation = function(x)\n"
    "  return x * x:sigmoid() end }), nn.Dense(3) }\n"
    "local h = train.fit(net, set, { loss = SCE, epochs = 5, batch_size = 30, verbose "
    "= false,\n"
    "  optimizer = 'adam', metrics = { function(y) return y:mean() end } })\n"
    "result(tostring(ok)); show_net(net); show_history(h); show_draws()\n";

/* The seed is set between the epochs: nets from before draw from new streams. The net
 * drew before the fit; the one beside it takes the first number in some epochs. */
static const char seeded[] =
    "local net = nn.Sequential { nn.Dense(6, { activation = 'relu' }), "
    "nn.Dropout(0.4),\n"
    "  nn.Dense(3) }\n"
    "local other = nn.Sequential { nn.Dropout(0.5) }\n"
    "show('before', net(tensor.ones(4, 2), { training = true }))\n"
    "local function reseed(info)\n"
    "  if info.epoch % 2 == 0 then tensor.seed(info.epoch) end\n"
    "  if info.epoch == 4 then other(tensor.ones(9), { training = true }):eval() end\n"
    "end\n"
    "local h = train.fit(net, set, { loss = SCE, epochs = 5, batch_size = 30,\n"
    "  verbose = false, optimizer = 'adam', callbacks = { reseed } })\n"
    "show_net(net); show_history(h); show_draws()\n"
    "show('after', net(tensor.ones(4, 2), { training = true }))\n";

/* Metrics that keep rows, sums, scores, and a state of the script, in the middle of an
 * epoch; afterwards the net knows what it was trained with. */
static const char measured[] =
    "local net = nn.Sequential { nn.Dense(5), nn.Dropout(0.2), nn.Dense(3) }\n"
    "local spread = { name = 'spread', begin = function() return { n = 0, seen = {} } "
    "end,\n"
    "  add = function(state, y, t)\n"
    "    state.n = state.n + #t\n"
    "    state.seen[#state.seen + 1] = y:max()\n"
    "    return state\n"
    "  end,\n"
    "  finish = function(state)\n"
    "    local sum = state.n\n"
    "    for _, most in ipairs(state.seen) do sum = sum + most:item() end\n"
    "    return sum\n"
    "  end }\n"
    "local function largest(y) return y:max() end\n"
    "local h = train.fit(net, set, { loss = SCE, epochs = 3, batch_size = 20, verbose "
    "= false,\n"
    "  validation = 0.3, metrics = { 'acc', 'f1', 'auc', spread,\n"
    "  train.metric(largest, { name = 'largest' }) } })\n"
    "local again = net:evaluate(set:take(30))\n"
    "show('again', { again.loss, again.f1, again.auc, again.spread, again.largest })\n"
    "show_net(net); show_history(h); show_draws()\n";

/* A loop of its own, in which `step_done` counts. */
/* Weights of rows and classes, in the loss and in metrics that keep rows or add them
 * up. */
static const char weighted[] =
    "local x, y = set:tensors()\n"
    "local w = (tensor.rand(90) * 3):eval()\n"
    "local own = data.set(x, y, { weight = w, classes = 3 })\n"
    "local net = nn.Sequential { nn.Dense(9, { activation = 'tanh' }), nn.Dense(3) }\n"
    "local rows = train.metric(function(o, t) return o:mean(-1) end, { name = 'rows' "
    "})\n"
    "local sums = { name = 'sums', finish = function(s) return s end,\n"
    "  add = function(s, o, t, w) return (s or 0) + w:sum():item() end }\n"
    "local h = train.fit(net, own, { loss = SCE, optimizer = 'adam', epochs = 4,\n"
    "  batch_size = 20, validation = 0.2, test = own, class_weight = { 1, 0.3, 2.5 },\n"
    "  metrics = { 'acc', 'f1', 'auc', rows, sums }, verbose = false })\n"
    "show_net(net); show_history(h); show_draws()\n";

static const char own_loop[] =
    "local net = nn.Sequential { nn.Dense(7), nn.BatchNorm(), nn.Dropout(0.2), "
    "nn.Dense(3) }\n"
    "local head = nn.Sequential { nn.Dense(2) }\n"
    "local gain = tensor.variable(tensor { 1, 2 })\n"
    "local opt = optim.Adam { lr = 0.02 }\n"
    "local step = train.step(function(x, y)\n"
    "  return loss.sparse_categorical_crossentropy(net(head(x) * gain), y)\n"
    "end, { net, head, gain }, opt)\n"
    "local first = train.fit(head, set, { loss = function(y) return (y * y):mean() "
    "end,\n"
    "  verbose = false })\n"
    "local things = { net = net, head = head, gain = gain, opt = opt }\n"
    "local state = run:restore(things) or { epoch = 0, log = {} }\n"
    "for epoch = state.epoch + 1, 5 do\n"
    "  local total = 0\n"
    "  for x, y in set:batches(32) do total = total + step(x, y); step_done() end\n"
    "  state.epoch = epoch\n"
    "  state.log[epoch] = { total, math.random(), tensor.rand(2) }\n"
    "  opt.lr = opt.lr * 0.9\n"
    "  run:checkpoint { net = net, head = head, gain = gain, opt = opt, epoch = "
    "epoch,\n"
    "    log = state.log }\n"
    "end\n"
    "local last = train.fit(net, set, { loss = SCE, optimizer = opt, epochs = 2,\n"
    "  verbose = false })\n"
    "show_net(net); show_net(head); show('gain', gain); show_history(first); "
    "show_history(last)\n"
    "for _, row in ipairs(state.log) do show('row', { row[1], row[2] }); show('t', "
    "row[3]) end\n"
    "show_draws()\n";

/* Layers in two nets: each checkpoint part has the names of its own net, and a layer
 * draws as in the net where it was built. */
static const char shared_layers[] =
    "local gen = nn.Sequential { nn.Dense(4), nn.Dropout(0.3), nn.Dense(2) }\n"
    "local dis = nn.Sequential { nn.Dense(5), nn.Dropout(0.3), nn.Dense(1) }\n"
    "gen:build { 2 }; dis:build { 2 }\n"
    "local both = nn.Sequential { nn.Dropout(0.1), gen, dis }\n"
    "local d_opt, g_opt = optim.Adam { lr = 0.02 }, optim.SGD { lr = 0.1, momentum = "
    "0.9 }\n"
    "local d_step = train.step(function(x) return (dis(x) + "
    "dis(gen(x))):square():mean() end,\n"
    "  dis, d_opt)\n"
    "local g_step = train.step(function(x) return both(x):square():mean() end, gen, "
    "g_opt)\n"
    "local things = { gen = gen, dis = dis, both = both, d_opt = d_opt, g_opt = g_opt "
    "}\n"
    "local state = run:restore(things) or { epoch = 0, total = 0 }\n"
    "for epoch = state.epoch + 1, 5 do\n"
    "  for x in set:batches(32) do\n"
    "    state.total = state.total + d_step(x) + g_step(x); step_done()\n"
    "  end\n"
    "  state.epoch = epoch\n"
    "  run:checkpoint { gen = gen, dis = dis, both = both, d_opt = d_opt, g_opt = "
    "g_opt,\n"
    "    epoch = epoch, total = state.total }\n"
    "end\n"
    "local last = train.fit(both, data.set(set:tensors(), tensor.zeros(90, 1)), { loss "
    "= 'mse',\n"
    "  optimizer = d_opt, epochs = 2, verbose = false })\n"
    "show_net(gen); show_net(dis); show_net(both); show('total', state.total)\n"
    "show_history(last); show_draws()\n";

#endif
