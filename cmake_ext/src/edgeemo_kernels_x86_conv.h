/* edgeemo_kernels_x86_conv.h: convolution out of registers, for each set that includes it.
 *
 * TARGET      attribute of the instruction set
 * WEIGHT      type of a prepared weight; a step takes four bytes of them for an output
 * REGISTERS   vectors that the processor holds
 * MOST_SUMS   vectors of sums that fit beside an input, a product and some weights
 * DOT         (sums, inputs, weights): sums of eight outputs with the products of a step
 * INPUTS      (four bytes): the inputs of a step for each of eight outputs
 * HIGH_WORDS  (even, odd): those of eight 64-bit products, in order
 */

/* Eight sums that have their biases, before they are cut to int8. One value behind the multipliers
 * is read. */
TARGET INLINE __m256i scaled(const edgeemo_requant *r, __m256i acc, const int32_t *multipliers)
{
    if (r->pre)
        acc = _mm256_sll_epi32(acc, _mm_cvtsi32_si128(r->pre));
    __m256i even = _mm256_mul_epi32(acc, load(multipliers));
    __m256i odd = _mm256_mul_epi32(_mm256_srli_epi64(acc, 32), load(multipliers + 1));
    __m256i sum = _mm256_add_epi32(HIGH_WORDS(even, odd), _mm256_set1_epi32(r->rounding));
    return _mm256_sra_epi32(sum, _mm_cvtsi32_si128(r->shift));
}

/* Outputs of one position from the sums of the `groups` of a block; `left` of them are there. */
TARGET INLINE void finish_block(const edgeemo_requant *r, const int32_t *multipliers,
                                const sums8 *sums, const int32_t groups, int32_t left, int8_t *to)
{
    __m256i v[4];
    UNROLL
    for (int32_t j = 0; j < 4; j++)
        v[j] = j < groups ? scaled(r, (__m256i)sums[j], multipliers + 8 * j) : v[groups - 1];
    const int32_t count = EDGEEMO_GROUP * groups;
    __m256i bytes = bytes_in_order(r->act_min, r->act_max, v);
    if (left >= count)
        store(to, bytes, count);
    else
        memcpy(to, &bytes, (size_t)left);
}

/* Of 32 channels of a depthwise layer, or of those that there are. */
TARGET INLINE void finish_channels(const edgeemo_requant *r, const int32_t *multipliers,
                                   const sums8 *sums, int32_t channels, int8_t *to)
{
    __m256i v[4];
    UNROLL
    for (int32_t j = 0; j < 4; j++)
        v[j] = scaled(r, (__m256i)sums[j], multipliers + 8 * j);
    store(to, bytes_by_halves(r->act_min, r->act_max, v), channels);
}

/* `positions` and `groups` are constants. */
TARGET INLINE void conv_tile(const edgeemo_conv *c, const void *block, const void *const *from,
                             const int32_t positions, const int32_t groups, int32_t o,
                             int8_t *const *to)
{
    const int32_t *bias = block, *multipliers = bias + EDGEEMO_GROUP * groups;
    const char *w = (const void *)(multipliers + EDGEEMO_GROUP * groups);
    const int32_t weight_bytes = (int32_t)sizeof(WEIGHT);
    /* Weights that stay in registers; the others are read for each position, as a sum that has no
     * register would wait for its own store in each step. */
    const int32_t kept = REGISTERS - 2 - positions * groups;
    int32_t spans = c->spans, bytes = edgeemo_padded(c->length, weight_bytes) * weight_bytes;
    sums8 sums[MOST_SUMS];
    UNROLL
    for (int32_t p = 0; p < positions; p++)
        UNROLL
        for (int32_t j = 0; j < groups; j++)
            sums[p * groups + j] = (sums8)load(bias + EDGEEMO_GROUP * j);
    for (int32_t s = 0; s < spans; s++, from += EDGEEMO_MAX_POSITIONS) {
        for (int32_t k = 0; k < bytes; k += 4, w += 32 * groups) {
            UNROLL
            for (int32_t p = 0; p < positions; p++) {
                int32_t four;
                memcpy(&four, (const char *)from[p] + k, sizeof four);
                __m256i x = INPUTS(four);
                const char *again = w;
                if (kept < groups)
                    __asm__ volatile("" : "+r"(again)); /* not known to be the same */
                UNROLL
                for (int32_t j = 0; j < groups; j++)
                    sums[p * groups + j] =
                        DOT(sums[p * groups + j], x, load((j < kept ? w : again) + 32 * j));
            }
        }
    }
    UNROLL
    for (int32_t p = 0; p < positions; p++)
        finish_block(&c->requant, multipliers, sums + p * groups, groups, c->outputs - o,
                     to[p] + o);
}

/* By as many positions as registers hold the sums of. */
TARGET INLINE void conv_block(const edgeemo_conv *c, const void *block, const void *const *from,
                              int32_t count, int32_t o, int8_t *const *to, const int32_t groups)
{
    const int32_t most = MOST_SUMS / groups < 8 ? MOST_SUMS / groups : 8;
    int32_t p = 0;
    for (; p + most <= count; p += most)
        conv_tile(c, block, from + p, most, groups, o, to + p);
    for (; p + 2 <= count; p += 2)
        conv_tile(c, block, from + p, 2, groups, o, to + p);
    if (p < count)
        conv_tile(c, block, from + p, 1, groups, o, to + p);
}

TARGET static void conv(const edgeemo_conv *given, const void *const *from, int32_t count,
                        int8_t *const *to)
{
    const edgeemo_conv copy = *given, *c = &copy; /* a store through int8_t might change *given */
    int32_t groups = edgeemo_block_groups(c->outputs);
    size_t bytes = edgeemo_block_bytes(c, sizeof(WEIGHT));
    const char *block = c->prepared;
    for (int32_t o = 0; o < c->outputs; o += EDGEEMO_GROUP * groups, block += bytes)
        switch (groups) {
        case 1:
            conv_block(c, block, from, count, o, to, 1);
            break;
        case 3:
            conv_block(c, block, from, count, o, to, 3);
            break;
        default:
            conv_block(c, block, from, count, o, to, 4);
        }
}
