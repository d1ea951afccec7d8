/**
 * The shape of a provider that is described in place of being written: how a message becomes a request, and what an answer
 * means. Presets and an operator's file have the same one; docs/channels/http.md explains it.
 */
import { z } from 'zod';

/** The channels that such a provider may serve. */
export const servedChannels = ['chat', 'sms', 'whatsapp', 'email'] as const;
export type ServedChannel = (typeof servedChannels)[number];

const oneOrMore = <T extends z.ZodType>(item: T) => z.union([item, z.array(item).min(1)]);

/** A status, or a range of them: 404, "400-499". */
const status = z.union([
  z.int().min(100).max(599),
  z.string().regex(/^[1-5]\d{2}(-[1-5]\d{2})?$/, 'must be a status, or a range such as "200-299"'),
]);

/** Members and indices with dots between: `result.message_id`, `errors.0.code`. */
const path = z.string().regex(/^[^.\s]+(\.[^.\s]+)*$/, 'must be names with dots between, such as result.id');

const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);
const condition = z.union([oneOrMore(scalar), z.strictObject({ contains: z.string().min(1) })]);
const where = z.record(path, condition);

const headerName = z
  .string()
  .regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/, 'is no name that a header may have')
  .refine((name) => !/^(connection|content-length|host|transfer-encoding|upgrade|expect)$/i.test(name), {
    error: 'is set by the connection itself; leave it out',
  });

/** What an answer that matches a rule means for the delivery. */
export const kinds = ['dead', 'permanent', 'transient', 'credentials', 'misconfigured'] as const;

const rule = z
  .strictObject({
    status: oneOrMore(status).optional(),
    where: where.optional(),
    /** The whole answer, where it is no JSON. */
    text: oneOrMore(z.string().min(1)).optional(),
    is: z.enum(kinds),
    /** For the log, in the operator's words. */
    because: z.string().min(1).max(200).optional(),
  })
  .refine((r) => r.status !== undefined || r.where !== undefined || r.text !== undefined, {
    error: 'needs status, where or text: without one it would match every answer',
  });

const body = z
  .strictObject({
    /** A JSON value; every text in it is a template. */
    json: z.json().optional(),
    /** Fields of a form; every value is a template. */
    form: z.record(z.string().min(1), z.string()).optional(),
    /** A text, or its lines. */
    template: oneOrMore(z.string()).optional(),
    /** What the template makes. */
    format: z.enum(['json', 'xml', 'text']).optional(),
  })
  .refine((b) => [b.json, b.form, b.template].filter((one) => one !== undefined).length === 1, {
    error: 'needs exactly one of json, form and template',
  })
  .refine((b) => b.format === undefined || b.template !== undefined, {
    error: 'stands beside template only',
    path: ['format'],
  });

export const definitionSchema = z.strictObject({
  channels: z
    .array(z.enum(servedChannels))
    .min(1)
    .refine((list) => new Set(list).size === list.length, { error: 'names a channel twice' }),
  method: z.enum(['GET', 'POST', 'PUT', 'PATCH']).default('POST'),
  url: z.string().min(1),
  query: z.record(z.string().min(1), z.string()).default({}),
  headers: z.record(headerName, z.string()).default({}),
  body: body.optional(),
  /** What a destination looks like, as a regular expression for the whole of it. */
  destination: z.string().min(1).optional(),
  success: z
    .strictObject({ status: oneOrMore(status).default('200-299'), where: where.optional() })
    .default({ status: '200-299' }),
  /** Where an answer has the message's id. */
  id: z.union([z.strictObject({ path }), z.strictObject({ header: headerName })]).optional(),
  /** Where an answer says how many seconds to wait, beside the header Retry-After. */
  retryAfter: z.strictObject({ path }).optional(),
  /** Where an answer says that a destination has another name now. It is then asked once more, for that one. */
  moved: z.strictObject({ path }).optional(),
  errors: z.array(rule).default([]),
  /** Sends a second that the provider usually allows. */
  rate: z.number().positive().max(10_000).optional(),
  /** A call that sends nothing, with the same headers, judged by the same rules: whether the credentials are taken. */
  check: z
    .strictObject({ method: z.enum(['GET', 'POST']).default('GET'), url: z.string().min(1) })
    .optional(),
});

export type Definition = z.output<typeof definitionSchema>;
/** As it is written, without what has a default. */
export type WrittenDefinition = z.input<typeof definitionSchema>;
export type Rule = z.output<typeof rule>;
export type Where = z.output<typeof where>;
export type Statuses = Rule['status'];
