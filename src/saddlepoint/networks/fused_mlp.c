/* A stack of multilayer perceptrons, one a replica: forward with the hidden layers kept, and backward.
 *
 * Layer l is h_l = activation(h_{l-1} W_l^T + b_l), W_l of [outputs, inputs], the last one without an activation. A replica's whole
 * pass is done before the next one's, so that its weights and its batch stay in the first caches. Rows are samples; in memory of ours
 * a row is padded with zeros to whole vectors. Compiled once for float and once for double (REAL). */

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
#define BYTES 64
#else
#define BYTES 32
#endif
#define LANES ((int64_t)(BYTES / sizeof(REAL)))
#define INLINE static inline __attribute__((always_inline))

typedef REAL vector __attribute__((vector_size(BYTES)));
typedef __typeof__((vector){0} > (vector){0}) mask;
typedef REAL unaligned __attribute__((vector_size(BYTES), aligned(sizeof(REAL)), may_alias));

enum activation { NONE, RELU, LEAKY_RELU, TANH };
enum epilogue { STORE, ACTIVATE, DIFFERENTIATE };

struct network {
    int64_t replicas, rows, layers;
    const int64_t *widths; /* layers + 1 of them */
    int64_t activation;
    double slope;
};

/* What is done to a product as it is stored: bias and activation forward, the activation's derivative backward. */
struct finish {
    enum epilogue kind;
    enum activation activation;
    REAL slope;
    const REAL *bias;   /* [columns], for ACTIVATE */
    const REAL *hidden; /* [rows, stride of the result], for DIFFERENTIATE */
};

INLINE vector load(const REAL *from) { return *(const unaligned *)from; }
INLINE void store(REAL *to, vector value) { *(unaligned *)to = value; }
INLINE int64_t padded(int64_t width) { return (width + LANES - 1) / LANES * LANES; }
INLINE int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }

INLINE vector where(mask chosen, vector yes, vector no) { return (vector)((chosen & (mask)yes) | (~chosen & (mask)no)); }

INLINE vector tangent(vector x) {
    vector result = {0};
    for (int i = 0; i < LANES; i++) result[i] = sizeof(REAL) == 4 ? tanhf(x[i]) : tanh(x[i]);
    return result;
}

INLINE vector finished(vector sum, const struct finish *finish, int64_t place, int64_t column) {
    const vector zero = {0};
    if (finish->kind == ACTIVATE) {
        sum += load(finish->bias + column);
        /* As torch has it, NaN stays NaN. */
        if (finish->activation == RELU) sum = where(sum < zero, zero, sum);
        if (finish->activation == LEAKY_RELU) sum = where(sum > zero, sum, finish->slope * sum);
        if (finish->activation == TANH) sum = tangent(sum);
    } else if (finish->kind == DIFFERENTIATE) {
        const vector hidden = load(finish->hidden + place);
        /* A unit that is NaN hands its gradient down, as in torch. */
        if (finish->activation == RELU) sum = where(hidden <= zero, zero, sum);
        if (finish->activation == LEAKY_RELU) sum = where(hidden > zero, sum, finish->slope * sum);
        if (finish->activation == TANH) sum *= 1 - hidden * hidden;
    }
    return sum;
}

/* c[i, j] = sum_k a[i a_row + k a_step] b[k b_step + j] for `height` rows and `width` vectors, kept in registers. */
INLINE void tile(const int height, const int width, int64_t depth, const REAL *a, int64_t a_row, int64_t a_step, const REAL *b,
                 int64_t b_step, REAL *c, int64_t c_row, const struct finish *finish, int64_t row, int64_t column) {
    vector sums[6][2];
    for (int i = 0; i < height; i++)
        for (int j = 0; j < width; j++) sums[i][j] = (vector){0};
    for (int64_t k = 0; k < depth; k++) {
        vector right[2];
        for (int j = 0; j < width; j++) right[j] = load(b + k * b_step + j * LANES);
        for (int i = 0; i < height; i++) {
            const REAL left = a[i * a_row + k * a_step];
            for (int j = 0; j < width; j++) sums[i][j] += left * right[j];
        }
    }
    for (int i = 0; i < height; i++)
        for (int j = 0; j < width; j++) {
            const int64_t place = (row + i) * c_row + column + j * LANES;
            store(c + place, finished(sums[i][j], finish, place, column + j * LANES));
        }
}

#define TILE(height)                                                                                                          \
    tile(height, width, depth, a + row * a_row, a_row, a_step, b + column, b_step, c, c_row, finish, row, column)

INLINE void panel(const int width, int64_t rows, int64_t depth, const REAL *a, int64_t a_row, int64_t a_step, const REAL *b,
                  int64_t b_step, REAL *c, int64_t c_row, const struct finish *finish, int64_t column) {
    int64_t row = 0;
    for (; row + 6 <= rows; row += 6) TILE(6);
    switch (rows - row) {
    case 5: TILE(5); break;
    case 4: TILE(4); break;
    case 3: TILE(3); break;
    case 2: TILE(2); break;
    case 1: TILE(1); break;
    }
}

/* The product of [rows, depth] and [depth, columns], columns a whole number of vectors. */
static void product(int64_t rows, int64_t columns, int64_t depth, const REAL *a, int64_t a_row, int64_t a_step, const REAL *b,
                    int64_t b_step, REAL *c, int64_t c_row, const struct finish *finish) {
    int64_t column = 0;
    for (; column + 2 * LANES <= columns; column += 2 * LANES)
        panel(2, rows, depth, a, a_row, a_step, b, b_step, c, c_row, finish, column);
    if (column < columns) panel(1, rows, depth, a, a_row, a_step, b, b_step, c, c_row, finish, column);
}

INLINE REAL total(vector sum) {
    REAL parts[BYTES / sizeof(REAL)];
    memcpy(parts, &sum, BYTES);
    for (int half = (int)LANES / 2; half; half /= 2)
        for (int i = 0; i < half; i++) parts[i] += parts[i + half];
    return parts[0];
}

/* c[i, j] = a[i] . b[j] (+ bias[j]) for a few j: rows of whole vectors, so that no column is wasted. */
static void dots(int64_t rows, int64_t columns, int64_t depth, const REAL *a, int64_t a_row, const REAL *b, int64_t b_row, REAL *c,
                 int64_t c_row, const REAL *bias) {
    for (int64_t row = 0; row < rows; row++)
        for (int64_t column = 0; column < columns; column++) {
            vector sum = {0};
            for (int64_t k = 0; k < depth; k += LANES) sum += load(a + row * a_row + k) * load(b + column * b_row + k);
            c[row * c_row + column] = total(sum) + (bias ? bias[column] : 0);
        }
}

/* Rows of `width` numbers to rows of whole vectors, the rest zero. */
static void pad(int64_t rows, int64_t width, const REAL *from, REAL *to) {
    const int64_t wide = padded(width);
    for (int64_t row = 0; row < rows; row++) {
        memcpy(to + row * wide, from + row * width, width * sizeof(REAL));
        for (int64_t column = width; column < wide; column++) to[row * wide + column] = 0;
    }
}

static void unpad(int64_t rows, int64_t width, const REAL *from, int64_t from_row, REAL *to) {
    for (int64_t row = 0; row < rows; row++) memcpy(to + row * width, from + row * from_row, width * sizeof(REAL));
}

/* [rows, columns] to [columns, padded(rows)], the rest zero. */
static void transpose(int64_t rows, int64_t columns, const REAL *from, REAL *to) {
    const int64_t wide = padded(rows);
    for (int64_t column = 0; column < columns; column++) {
        for (int64_t row = 0; row < rows; row++) to[column * wide + row] = from[row * columns + column];
        for (int64_t row = rows; row < wide; row++) to[column * wide + row] = 0;
    }
}

/* sums[j] = sum_i a[i, j], of rows of whole vectors. */
static void column_sums(int64_t rows, int64_t width, const REAL *a, REAL *sums) {
    const int64_t wide = padded(width);
    for (int64_t column = 0; column < wide; column += LANES) {
        vector partial[4] = {{0}, {0}, {0}, {0}};
        for (int64_t row = 0; row < rows; row++) partial[row % 4] += load(a + row * wide + column);
        const vector sum = (partial[0] + partial[1]) + (partial[2] + partial[3]);
        for (int64_t lane = 0; lane < LANES && column + lane < width; lane++) sums[column + lane] = sum[lane];
    }
}

static int64_t widest(const struct network *net) {
    int64_t width = 0;
    for (int64_t l = 0; l <= net->layers; l++) width = larger(width, padded(net->widths[l]));
    return width;
}

static REAL *memory(int64_t numbers) {
    return aligned_alloc(BYTES, (numbers * sizeof(REAL) / BYTES + 1) * BYTES);
}

/* Numbers of one replica's hidden layers. */
int64_t hidden_numbers(int64_t rows, int64_t layers, const int64_t *widths) {
    int64_t numbers = 0;
    for (int64_t l = 1; l < layers; l++) numbers += rows * padded(widths[l]);
    return numbers;
}

/* y[r] = network r of x[r]. `parameters` are weight and bias of each layer; `hidden` is [replicas, hidden_numbers], or holds one
 * replica's, written over by the next, when hidden_step is 0. Returns 0, or 1 where memory is short. */
int forward(int64_t replicas, int64_t rows, int64_t layers, const int64_t *widths, int64_t activation, double slope, const REAL *x,
            int64_t x_step, const REAL *const *parameters, REAL *hidden, int64_t hidden_step, REAL *y) {
    const struct network net = {replicas, rows, layers, widths, activation, slope};
    const int64_t wide = widest(&net), outputs = widths[layers];
    REAL *columns = memory(wide * wide), *bias = memory(wide), *made = memory(rows * wide);
    if (columns && bias && made)
        for (int64_t r = 0; r < replicas; r++) {
            const REAL *input = x + r * x_step;
            REAL *output = hidden + r * hidden_step;
            int64_t input_row = widths[0];
            for (int64_t l = 0; l < layers; l++) {
                const int64_t in = widths[l], out = widths[l + 1];
                const REAL *weight = parameters[2 * l] + r * out * in, *offset = parameters[2 * l + 1] + r * out;
                const int last = l == layers - 1;
                if (last && out < LANES && l > 0) {
                    const REAL *rows_of_weight = weight;
                    if (in % LANES) pad(out, in, weight, columns), rows_of_weight = columns;
                    dots(rows, out, padded(in), input, input_row, rows_of_weight, padded(in), y + r * rows * out, out, offset);
                    break;
                }
                transpose(out, in, weight, columns);
                pad(1, out, offset, bias);
                const struct finish finish = {ACTIVATE, last ? NONE : (enum activation)activation, (REAL)slope, bias, NULL};
                REAL *to = last ? made : output;
                product(rows, padded(out), in, input, input_row, 1, columns, padded(out), to, padded(out), &finish);
                if (last) unpad(rows, outputs, made, padded(outputs), y + r * rows * outputs);
                input = output;
                input_row = padded(out);
                output += rows * padded(out);
            }
        }
    const int short_of_memory = !(columns && bias && made);
    free(columns), free(bias), free(made);
    return short_of_memory;
}

/* dW = delta^T input: [out, in]. */
static void weight_gradient(int64_t rows, int64_t in, int64_t out, const REAL *delta, const REAL *input, int64_t input_row,
                            REAL *scratch, REAL *gradient) {
    const struct finish plain = {STORE, NONE, 0, NULL, NULL};
    const int64_t wide_in = padded(in), wide_out = padded(out);
    if (in < LANES) { /* vectors along the outputs waste less */
        product(in, wide_out, rows, input, 1, input_row, delta, wide_out, scratch, wide_out, &plain);
        for (int64_t o = 0; o < out; o++)
            for (int64_t i = 0; i < in; i++) gradient[o * in + i] = scratch[i * wide_out + o];
    } else if (in == wide_in) {
        product(out, in, rows, delta, 1, wide_out, input, input_row, gradient, in, &plain);
    } else {
        product(out, wide_in, rows, delta, 1, wide_out, input, input_row, scratch, wide_in, &plain);
        unpad(out, in, scratch, wide_in, gradient);
    }
}

/* From dy to the gradients of weights and biases, where `gradients` is given, and of x, where `dx` is. */
int backward(int64_t replicas, int64_t rows, int64_t layers, const int64_t *widths, int64_t activation, double slope, const REAL *x,
             int64_t x_step, const REAL *const *parameters, const REAL *hidden, int64_t hidden_step, const REAL *dy, REAL *dx,
             REAL *const *gradients) {
    const struct network net = {replicas, rows, layers, widths, activation, slope};
    const int64_t wide = widest(&net), inputs = widths[0], outputs = widths[layers];
    REAL *scratch = memory(larger(rows, wide) * wide), *padded_x = memory(rows * padded(inputs));
    REAL *deltas[2] = {memory(rows * wide), memory(rows * wide)};
    const int enough = scratch && padded_x && deltas[0] && deltas[1];
    if (enough)
        for (int64_t r = 0; r < replicas; r++) {
            const REAL *below = hidden + r * hidden_step + hidden_numbers(rows, layers, widths);
            REAL *delta = deltas[0], *next = deltas[1];
            pad(rows, outputs, dy + r * rows * outputs, delta);
            for (int64_t l = layers - 1; l >= 0; l--) {
                const int64_t in = widths[l], out = widths[l + 1], wide_in = padded(in), wide_out = padded(out);
                const REAL *weight = parameters[2 * l] + r * out * in;
                const REAL *input = x + r * x_step;
                int64_t input_row = in;
                if (l > 0) {
                    below -= rows * wide_in;
                    input = below;
                    input_row = wide_in;
                }
                if (gradients) {
                    if (l == 0 && in > LANES && in % LANES) pad(rows, in, input, padded_x), input = padded_x, input_row = wide_in;
                    weight_gradient(rows, in, out, delta, input, input_row, scratch, gradients[2 * l] + r * out * in);
                    column_sums(rows, out, delta, gradients[2 * l + 1] + r * out);
                }
                if (l == 0 && !dx) break;
                if (l == 0 && in < LANES) {
                    transpose(out, in, weight, scratch);
                    dots(rows, in, wide_out, delta, wide_out, scratch, wide_out, dx + r * rows * in, in, NULL);
                    break;
                }
                if (in % LANES) pad(out, in, weight, scratch), weight = scratch;
                const enum epilogue kind = l > 0 ? DIFFERENTIATE : STORE;
                const struct finish finish = {kind, (enum activation)activation, (REAL)slope, NULL, below};
                product(rows, wide_in, out, delta, wide_out, 1, weight, wide_in, next, wide_in, &finish);
                if (l == 0) unpad(rows, in, next, wide_in, dx + r * rows * in);
                REAL *swap = delta;
                delta = next;
                next = swap;
            }
        }
    free(scratch), free(padded_x), free(deltas[0]), free(deltas[1]);
    return !enough;
}
