/**
 * Notify's request to one of 10,000 users in turn, each with a key of its own.
 * @param more further fields
 * @returns the next body at every call
 */
export function orderShipped(more: Readonly<Record<string, unknown>> = {}): () => unknown {
  let sent = 0;
  return () => {
    sent += 1;
    return {
      tenantId: 'bench',
      notificationId: `n-${sent}`,
      userIds: [`user-${sent % 10_000}`],
      subjectRef: `order/${sent}`,
      subjectType: 'order',
      title: 'Your order has shipped',
      body: 'It left our warehouse this morning and arrives tomorrow before noon.',
      ...more,
    };
  };
}
