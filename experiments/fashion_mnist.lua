-- fashion_mnist.lua: a small network with batch normalization learns to tell ten kinds of
-- clothing apart (Xiao, Rasul, Vollgraf 2017: 60,000 training and 10,000 test images).
--
--   runner experiments/fashion_mnist.lua epochs=5 lr=0.1

local args = args {
  epochs     = { 5, "passes over the training set" },
  batch_size = { 32, "images per step" },
  lr         = { 0.05, "learning rate of SGD at the start; falls along a cosine" },
}

local fashion = data.fashion_mnist()

local net = nn.Sequential {
  nn.Flatten(),
  nn.Dense(300, { init = "he_normal", bias = false }),
  nn.BatchNorm(),
  nn.Activation("relu"),
  nn.Dense(100, { init = "he_normal", bias = false }),
  nn.BatchNorm(),
  nn.Activation("relu"),
  nn.Dense(10),
}
net:build { 1, 28, 28 }
print(net:summary())

local history = train.fit(net, fashion.train, {
  loss = "sparse_categorical_crossentropy",
  optimizer = optim.SGD { lr = args.lr, schedule = optim.cosine { steps = args.epochs } },
  epochs = args.epochs,
  batch_size = args.batch_size,
  validation = 0.1,
  test = fashion.test,
  metrics = { "accuracy" },
})

print("epoch  loss    accuracy  val_loss  val_accuracy")
for epoch = 1, #history.loss do
  print(("%5d  %.4f  %.4f    %.4f    %.4f"):format(epoch, history.loss[epoch],
    history.accuracy[epoch], history.val_loss[epoch], history.val_accuracy[epoch]))
end

local seconds = 0
for _, s in ipairs(history.time_s) do seconds = seconds + s end
print(("test accuracy %.4f, test loss %.4f"):format(history.test_accuracy, history.test_loss))
io.stderr:write(("time per epoch %.2f s\n"):format(seconds / #history.time_s))
