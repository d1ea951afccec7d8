import { boot } from '../dom.js';

export const clientUrl = location.origin === 'null' ? `http://localhost:${boot.clientPort}` : location.origin;
export const internalUrl = `http://${location.hostname || 'localhost'}:${boot.internalPort}`;
