/** A module for NOTIFY_PLUGINS that adds nothing: with one named, providers may have names of a test's own. */
export const core = async (): Promise<void> => {};
