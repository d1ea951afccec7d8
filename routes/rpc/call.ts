import type { DescMethodUnary, DescService, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Principal } from '../../plugins/auth/index.ts';
import type { NotifyError, Violation } from '../../src/core/errors.ts';
import type { ListLimit } from './protocol/list-check.ts';
import type { Protocol } from './protocol/protocols.ts';

/** One call, as a method sees it. */
export interface Call {
  /** Who calls; on the internal port nobody in particular. */
  readonly principal: Principal | undefined;
}

/** A call on the client port. */
export interface RecipientCall extends Call {
  readonly principal: Principal;
}

/** The unary methods of a service: one function for each, whatever the protocol. Streams are served by routes/live. */
export type UnaryMethods<Service extends DescService, C extends Call = Call> = {
  readonly [Name in keyof Service['method'] as Service['method'][Name] extends DescMethodUnary
    ? Name
    : never]: Service['method'][Name] extends DescMethodUnary<infer Input, infer Output>
    ? (request: MessageShape<Input>, call: C) => Promise<MessageInitShape<Output>>
    : never;
};

/** Runs one call: input in, output out. */
export type RunUnary = (input: unknown, call: Call) => Promise<unknown>;

/** The same, where the answer's JSON can be written faster than by the library: input in, JSON out. */
export type RunJson = (input: unknown, call: Call) => Promise<string>;

/** What is looked at in an input while it is decoded. */
export interface InputChecks {
  /** What is wrong with it, as the method itself would say it. */
  readonly all?: (input: unknown) => readonly Violation[];
  readonly lists?: readonly ListLimit[];
}

/** Serves one server-streaming method: writes the whole response. Never rejects. */
export type RunStream = (request: FastifyRequest, reply: FastifyReply, protocol: Protocol) => Promise<void>;

/** A service and who may call it. */
export interface RpcService {
  readonly desc: DescService;
  /** By method's local name. */
  readonly unary: Readonly<Record<string, RunUnary>>;
  /** By method's local name, for methods whose answers are large: how Connect's JSON is answered. Others are as `unary` says. */
  readonly json?: Readonly<Record<string, RunJson>>;
  /** By method's local name; `all` for methods that name several violations at once. */
  readonly checks?: Readonly<Record<string, InputChecks>>;
  readonly streams?: Readonly<Record<string, RunStream>>;
  /** @throws NotifyError unauthenticated */
  readonly authenticate: (request: FastifyRequest) => Principal | undefined;
}

declare module 'fastify' {
  interface FastifyRequest {
    /** Set before a method runs, on the client port. */
    principal: Principal | undefined;
    /** Why this call must not run, in protocols that answer errors with status 200; the body is not looked at. */
    refusal: NotifyError | undefined;
    /** The tenant that a producer's request names. */
    namedTenant: string | undefined;
    /** The method's path. Kept, because Fastify makes the route's options anew each time it is asked for them. */
    procedure: string;
    /** performance.now() at the request's arrival. */
    startedMs: number;
  }
}

/** Takes from a decoded request what its log line tells. */
export function noteInput(request: FastifyRequest, input: object): void {
  if ('tenantId' in input && typeof input.tenantId === 'string') request.namedTenant = input.tenantId;
}

/** Ends every call with one log line, whatever protocol it came by. */
export function logCall(request: FastifyRequest, code: string, error?: NotifyError): void {
  const line = {
    procedure: request.procedure,
    latency_ms: Math.round((performance.now() - request.startedMs) * 1000) / 1000,
    user_id: request.principal?.userId,
    tenant_id: request.principal?.tenantId ?? request.namedTenant,
    code,
  };
  if (code === 'internal') request.log.error({ ...line, err: error?.cause ?? error }, 'rpc');
  else request.log.info(line, 'rpc');
}
