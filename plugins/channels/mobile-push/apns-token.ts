/**
 * Whether a token is one of APNs: bytes as hex digits. Apple keeps their number open; it has been 32 so far. FCM's registration
 * tokens always hold other characters too.
 */
export const isApnsToken = (token: string): boolean => /^[0-9A-Fa-f]{32,400}$/.test(token);
