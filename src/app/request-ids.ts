const instance = Math.random().toString(36).slice(2, 8);
let requests = 0;

/** Short, and different between replicas whose logs come together. */
export function genReqId(): string {
  requests += 1;
  return `${instance}-${requests.toString(36)}`;
}
