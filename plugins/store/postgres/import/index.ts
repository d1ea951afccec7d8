import type pg from 'pg';
import { assertMigrated } from '../../../../drizzle/migrate.ts';
import { InvalidValue } from '../../../../src/config.ts';
import type { Ambient } from '../../../../src/core/ambient.ts';
import { Database } from '../database.ts';
import { reach } from '../index.ts';
import type { Statement } from '../statement.ts';
import { ahead, writeBatch } from './batch.ts';
import { devicesQuery, devicesTable, type ImportedDevice, toDevice, writeDevices } from './devices.ts';
import { notificationsTable, readGroups } from './groups.ts';
import { type ImportedItem, toItem } from './items.ts';
import { Report } from './report.ts';
import { Source } from './source.ts';
import { SourceMismatch, type Table } from './table.ts';
import { type Written, writeItems } from './write-items.ts';

/** How many notifications are copied before statistics are first taken; then ten times as many, and so on. */
const firstStatistics = 10_000;

/** A table that grew from nothing in seconds is planned for as if it were empty until then, and the service would notice. */
const takeStatistics: Statement = {
  name: 'import_statistics',
  text: 'ANALYZE notify.notifications, notify.deliveries, notify.users',
};

/** Why a row is not copied that was refused in a transaction of its own. */
const unfit = 'Postgres does not take its values';

/** A database and the name of what named it, for messages. */
export interface NamedDsn {
  readonly dsn: string;
  readonly variable: string;
}

export interface ImportOptions {
  /** Our tables: a direct connection. */
  readonly into: NamedDsn;
  /** The first implementation's; it may be the same database. */
  readonly from: NamedDsn;
  /** Uniform in [0, 1). */
  readonly random: Ambient['random'];
  /** Takes a line of progress, or of a row that cannot be copied. No line holds a text of a row, a token or a password. */
  say(line: string): void;
}

/**
 * Copies the first implementation's notifications and devices, while any number of processes use our tables. Each batch is one
 * transaction under the locks that the store takes, and what is stored under the same keys is left alone: so it may be
 * stopped anywhere and started again.
 * @returns how many rows could not be copied
 * @throws SourceMismatch, SchemaMismatch, InvalidValue, NotifyError or Error, without anything secret
 */
export async function importPostgres({ into, from, say, random }: ImportOptions): Promise<number> {
  const connection = await reachNamed(into);
  await assertMigrated(connection);
  const source = await Source.connect(await reachNamed(from));
  const db = new Database({
    connection: { ...connection, application_name: 'notify-import' },
    prepare: true,
    poolSize: 1,
    random,
  });
  try {
    const notifications = await source.table(notificationsTable);
    // looked at before anything is copied, so that what is missing is said at once
    const devices = await source.table(devicesTable);
    if (notifications === undefined)
      throw new SourceMismatch(
        `there is no table public.${notificationsTable.name} in the database of ${from.variable}, or this role may not read it`,
      );
    const refused = await copyNotifications(source, notifications, db, say);
    if (devices === undefined) {
      say(`there is no table public.${devicesTable.name}, or this role may not read it: no devices to copy`);
      return refused;
    }
    return refused + (await copyDevices(source, devices, db, say));
  } finally {
    await Promise.all([source.close(), db.close()]);
  }
}

/** Where that fails, autovacuum does the same a minute later. */
const refreshStatistics = (db: Database): Promise<unknown> => db.write(takeStatistics, []).catch(() => {});

/** @throws InvalidValue with the variable's name; Error without anything secret */
async function reachNamed({ dsn, variable }: NamedDsn): Promise<pg.ClientConfig> {
  try {
    return await reach(dsn, undefined, variable);
  } catch (error) {
    throw error instanceof InvalidValue ? new InvalidValue(`${variable} ${error.message}`) : error;
  }
}

async function copyNotifications(
  source: Source,
  table: Table,
  db: Database,
  say: (line: string) => void,
): Promise<number> {
  const report = new Report(say, table.name, await source.count(table));
  const refuse = report.refuse.bind(report);
  let statisticsAt = firstStatistics;
  for await (const groups of ahead(readGroups(source, table, refuse))) {
    const items = groups.map((rows) => toItem(rows, refuse)).filter((item) => item !== undefined);
    const written = await writeBatch<ImportedItem, Written>(db, items, writeItems);
    items.forEach(({ rows }, i) => {
      const became = written[i];
      if (became === 'copied') report.copied(rows.length);
      else if (became === 'known') report.skipped(rows.length);
      else
        for (const row of rows)
          report.refuse(row, became === 'taken' ? 'another notification of its tenant has its id' : unfit);
    });
    report.progress();
    if (report.made >= statisticsAt) {
      statisticsAt *= 10;
      await refreshStatistics(db);
    }
  }
  if (report.made > 0) await refreshStatistics(db);
  report.done('notifications');
  return report.refused;
}

async function copyDevices(
  source: Source,
  table: Table,
  db: Database,
  say: (line: string) => void,
): Promise<number> {
  const report = new Report(say, table.name, await source.count(table));
  for await (const rows of ahead(source.rows(devicesQuery(table)))) {
    const devices: ImportedDevice[] = [];
    for (const row of rows) {
      const device = toDevice(row, report.refuse.bind(report));
      if (device?.lostToken) report.skipped(1);
      else if (device !== undefined) devices.push(device);
    }
    const written = await writeBatch<ImportedDevice, 'copied' | 'known'>(db, devices, writeDevices);
    devices.forEach(({ id }, i) => {
      if (written[i] === 'copied') report.copied(1);
      else if (written[i] === 'known') report.skipped(1);
      else report.refuse(id, unfit);
    });
    report.progress();
  }
  report.done('devices');
  return report.refused;
}
