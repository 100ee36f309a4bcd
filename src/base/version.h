/* version.h: the version of the program, and of the bytes that it computes; said here
 * alone. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define RUNNER_VERSION "0.1.0"

/* Which bytes a training gives. Raised by every change that alters any of them on the
 * same kernels: a result of another number counts as one of other code (--code), a
 * resume point of another number is not gone on from.
 *   1   what did not say its number
 *   2   of trainings: Adam counts the updates of each parameter; clips by norm, gelu
 *       and the tail of silu round otherwise; outputs that are no distributions are
 *       divided by their sum, those that are known to be probabilities are taken for
 *       such; labels 1 and 2 of a binary loss in every shape; draws after tensor.seed
 *       and after a refused fit. Of measures: accuracy and the user's numbers are those
 *       of all rows. Of data: PNG with 16 bits or colour chunks, integer targets of
 *       several axes
 *   3   of trainings: convolutions sum in another order and leave padding out where a
 *       weight is not finite; LSTMs sum their products in another order, and so do the
 *       gradients of all recurrent layers; Adadelta takes one root of a quotient
 *   4   of trainings: convolutions of 3 x 3 and 5 x 5 elements and many channels take
 *       fewer products; LSTMs and simple recurrent layers sum the products of x and h
 *       together, GRUs those of r and z; the gates of LSTM and GRU have functions of
 *       their own; gradients of softmax and attention are right where some of 16
 *       probabilities are 0; with AVX2, products of matrices in float sum in the order
 *       of our kernels where BLIS packed nothing
 *   5   of trainings: gradients of the weights of recurrent layers sum over spans of
 *       steps, each over all rows
 *   6   of trainings: gradients of the weight and bias of a layer norm sum over parts
 *       of 16 rows */
#define NUMERICS 6

#endif
