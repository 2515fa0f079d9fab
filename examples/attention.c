/* Causal attention and its gradients from C: first a rank alone, then a ring of three ranks,
 * threads of this program, over a sequence dealt row by row. Both are compared with plain loops.
 *
 *     cc attention.c -lringc -lm */

#include <ringc/ringc_c.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <threads.h>

enum { rows = 65, heads = 4, kv_heads = 2, dim = 16, ranks = 3 };
static const char *const options = "{\"heads\": 4, \"kv_heads\": 2, \"head_dim\": 16, "
                                   "\"causal\": true, \"layout\": \"striped\"}";

static void check(ringc_status status) {
  if (status == RINGC_OK)
    return;
  fprintf(stderr, "error %d: %s\n", (int)status, ringc_last_error());
  exit(1);
}

/* A tensor of f32 with memory of its own. */
typedef struct tensor {
  float *data;
  int64_t shape[4];
  ringc_tensor view;
} tensor;

static void make(tensor *t, int64_t a, int64_t b, int64_t c, int64_t d) {
  int axes = d ? 4 : 3;
  size_t count = (size_t)(a * b * c * (d ? d : 1));
  *t = (tensor){.data = calloc(count ? count : 1, sizeof(float)), .shape = {a, b, c, d}};
  t->view = (ringc_tensor){.data = t->data,
                           .device = {RINGC_CPU, 0},
                           .ndim = axes,
                           .dtype = {RINGC_FLOAT, 32, 1},
                           .shape = t->shape};
}

/* All that a forward and a backward of `n` rows read and write. */
typedef struct problem {
  tensor q, k, v, out, lse, dout, dq, dk, dv;
} problem;

static void make_problem(problem *p, int64_t n) {
  make(&p->q, 1, n, heads, dim);
  make(&p->k, 1, n, kv_heads, dim);
  make(&p->v, 1, n, kv_heads, dim);
  make(&p->out, 1, n, heads, dim);
  make(&p->lse, 1, heads, n, 0);
  make(&p->dout, 1, n, heads, dim);
  make(&p->dq, 1, n, heads, dim);
  make(&p->dk, 1, n, kv_heads, dim);
  make(&p->dv, 1, n, kv_heads, dim);
}

static void free_problem(problem *p) {
  tensor *all = &p->q;
  for (size_t i = 0; i < sizeof *p / sizeof *all; ++i)
    free(all[i].data);
}

static void fill(tensor *t, unsigned seed) {
  int64_t count = t->shape[0] * t->shape[1] * t->shape[2] * t->shape[3];
  for (int64_t i = 0; i < count; ++i) {
    seed = seed * 1664525u + 1013904223u;
    t->data[i] = (float)(seed >> 8) / (float)(1 << 23) - 1;
  }
}

/* Both passes of one rank of a group; NULL is a rank alone. */
static void attend(ringc_context *context, ringc_group *group, const problem *p) {
  ringc_attention *attention = NULL;
  check(ringc_attention_create(context, group, options, &attention));
  ringc_attention_inputs inputs = {.size = sizeof inputs,
                                   .batch = 1,
                                   .query_length = rows,
                                   .key_length = rows,
                                   .q = &p->q.view,
                                   .k = &p->k.view,
                                   .v = &p->v.view};
  ringc_attention_results results = {
      .size = sizeof results, .out = &p->out.view, .lse = &p->lse.view};
  ringc_attention_gradients gradients = {.size = sizeof gradients,
                                         .dout = &p->dout.view,
                                         .dq = &p->dq.view,
                                         .dk = &p->dk.view,
                                         .dv = &p->dv.view};
  check(ringc_attention_forward(attention, NULL, &inputs, &results, NULL, 0));
  check(ringc_attention_backward(attention, NULL, &inputs, &results, &gradients, NULL, 0));
  ringc_attention_destroy(attention);
}

/* The same by loops in double. */
static void attend_plainly(const problem *p, problem *plain) {
  const double scale = 1 / sqrt(dim);
  for (int h = 0; h < heads; ++h) {
    int kv = h / (heads / kv_heads);
    for (int i = 0; i < rows; ++i) {
      double s[rows], most = -INFINITY, sum = 0, delta = 0;
      const float *q = p->q.data + (i * heads + h) * dim,
                  *dout = p->dout.data + (i * heads + h) * dim;
      for (int j = 0; j <= i; ++j) {
        const float *k = p->k.data + (j * kv_heads + kv) * dim;
        s[j] = 0;
        for (int e = 0; e < dim; ++e)
          s[j] += scale * q[e] * k[e];
        most = fmax(most, s[j]);
      }
      for (int j = 0; j <= i; ++j)
        sum += s[j] = exp(s[j] - most);
      plain->lse.data[h * rows + i] = (float)(most + log(sum));
      double dp[rows];
      for (int j = 0; j <= i; ++j) {
        const float *v = p->v.data + (j * kv_heads + kv) * dim;
        s[j] /= sum;
        dp[j] = 0;
        for (int e = 0; e < dim; ++e) {
          plain->out.data[(i * heads + h) * dim + e] += (float)(s[j] * v[e]);
          dp[j] += dout[e] * v[e];
        }
        delta += s[j] * dp[j];
      }
      for (int j = 0; j <= i; ++j) {
        const float *k = p->k.data + (j * kv_heads + kv) * dim;
        float *dk = plain->dk.data + (j * kv_heads + kv) * dim,
              *dv = plain->dv.data + (j * kv_heads + kv) * dim;
        double ds = s[j] * (dp[j] - delta) * scale;
        for (int e = 0; e < dim; ++e) {
          plain->dq.data[(i * heads + h) * dim + e] += (float)(ds * k[e]);
          dk[e] += (float)(ds * q[e]);
          dv[e] += (float)(s[j] * dout[e]);
        }
      }
    }
  }
}

static int compare(const char *who, const problem *made, const problem *plain) {
  static const char *const names[] = {"q", "k", "v", "out", "lse", "dout", "dq", "dk", "dv"};
  const tensor *a = &made->q, *b = &plain->q;
  int good = 1;
  for (int which = 3; which < 9; ++which) {
    double apart = 0, norm = 0;
    int64_t count = a[which].shape[1] * a[which].shape[2];
    if (a[which].view.ndim == 4)
      count *= a[which].shape[3];
    for (int64_t i = 0; i < count; ++i) {
      double x = a[which].data[i], y = b[which].data[i];
      apart += (x - y) * (x - y);
      norm += y * y;
    }
    double error = sqrt(apart / fmax(norm, 1e-30));
    if (which == 5)
      continue;
    printf("%-14s %-4s %.1e\n", who, names[which], error);
    good &= error < 2e-5;
  }
  return good;
}

/* One rank: its shard of the whole problem, and its rows of the results back to their places. */
typedef struct rank {
  ringc_context *context;
  ringc_group *group;
  const problem *whole;
  problem *results;
} rank;

static int run_rank(void *argument) {
  const rank *self = argument;
  int number = ringc_group_rank(self->group);
  int64_t own = 0;
  check(ringc_local_length("striped", number, ranks, rows, &own));
  problem shard;
  make_problem(&shard, own);
  const tensor *whole = &self->whole->q;
  tensor *local = &shard.q, *results = &self->results->q;
  const int inputs[] = {0, 1, 2, 5}, outputs[] = {3, 4, 6, 7, 8};
  for (int i = 0; i < 4; ++i)
    check(ringc_shard(&whole[inputs[i]].view, 1, "striped", number, ranks, &local[inputs[i]].view));
  attend(self->context, self->group, &shard);
  for (int i = 0; i < 5; ++i) {
    int axis = outputs[i] == 4 ? 2 : 1; /* of the rows */
    check(ringc_unshard(&local[outputs[i]].view, axis, "striped", number, ranks,
                        &results[outputs[i]].view));
  }
  free_problem(&shard);
  return 0;
}

int main(void) {
  printf("ringc %s\n", ringc_version());
  ringc_context *context = NULL;
  check(ringc_context_create("{\"device\": \"cpu\", \"threads\": 2}", &context));
  problem alone, plain, ring;
  make_problem(&alone, rows);
  make_problem(&plain, rows);
  make_problem(&ring, rows);
  fill(&alone.q, 1);
  fill(&alone.k, 2);
  fill(&alone.v, 3);
  fill(&alone.dout, 4);
  attend_plainly(&alone, &plain);
  attend(context, NULL, &alone);
  int good = compare("alone", &alone, &plain);

  ringc_group *groups[ranks];
  check(ringc_group_threads(context, ranks, 0, groups));
  rank all[ranks];
  thrd_t threads[ranks];
  for (int i = 0; i < ranks; ++i) {
    all[i] = (rank){context, groups[i], &alone, &ring};
    if (thrd_create(&threads[i], run_rank, &all[i]) != thrd_success)
      return 1;
  }
  for (int i = 0; i < ranks; ++i) {
    thrd_join(threads[i], NULL);
    ringc_group_destroy(groups[i]);
  }
  good &= compare("three ranks", &ring, &plain);

  ringc_context_destroy(context);
  free_problem(&alone);
  free_problem(&plain);
  free_problem(&ring);
  puts(good ? "good" : "wrong");
  return good ? 0 : 1;
}
