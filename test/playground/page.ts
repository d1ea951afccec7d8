import type { Locator, Page, Request } from 'playwright-core';

/** Who a tab is. */
export interface Identity {
  readonly user?: string;
  readonly tenant?: string;
}

/** What the compose form takes; what is left out stays as the page has it. */
export interface Draft {
  readonly title?: string;
  readonly body?: string;
  /** User ids; the page's own default is the tab's user. */
  readonly to?: readonly string[];
  readonly type?: string;
  readonly actionUrl?: string;
  readonly urgency?: 'URGENCY_LOW' | 'URGENCY_NORMAL' | 'URGENCY_HIGH' | 'URGENCY_CRITICAL';
  readonly notificationId?: string;
}

/** One notification as the inbox shows it. */
export interface ShownItem {
  readonly id: string;
  readonly notificationId: string;
  readonly title: string;
  readonly body: string;
  /** Status, type, subject, channels and urgency, as words. */
  readonly meta: readonly string[];
  readonly unread: boolean;
}

/** What the page says about the last send. */
export interface Answer {
  /** `repeat`: the id was here before. */
  readonly state: 'ok' | 'repeat' | 'error';
  readonly title: string;
  readonly delivered: number;
  readonly pending: number;
  readonly failed: number;
  /** 0 where the answer names none. */
  readonly suppressed: number;
  /** One line per user and channel. */
  readonly results: readonly string[];
  /** Of an error; '' otherwise. */
  readonly code: string;
  readonly message: string;
}

/** One delivery as the test mailbox shows it. */
export interface ShownMail {
  readonly channel: string;
  readonly destination: string;
  readonly title: string;
  readonly body: string;
  readonly outcome: string;
  /** How often the test provider got it. */
  readonly tries: number;
  /** The idempotency key. */
  readonly key: string;
}

/** One line of the event log, newest first. */
export interface LogLine {
  readonly kind: string;
  /** '' for what did not come over the stream. */
  readonly position: string;
  readonly detail: string;
}

export type StreamState = 'connecting' | 'live' | 'reconnecting' | 'ended';
export type CodeLanguage = 'curl' | 'javascript' | 'go' | 'python' | 'eventsource';
export type CodeCall =
  | 'notify'
  | 'stream'
  | 'list'
  | 'read'
  | 'unread'
  | 'archive'
  | 'unarchive'
  | 'delete'
  | 'readAll'
  | 'hint';
export type ItemAction = 'mark-read' | 'mark-unread' | 'archive' | 'delete';

/** The playground in one browser tab, as a person uses it. */
export class PlaygroundPage {
  readonly page: Page;
  /** What the browser asked for and got no answer to, and why where it is known; for the message of a wait that is in vain. */
  readonly #unanswered = new Map<Request, string>();

  constructor(page: Page) {
    this.page = page;
    page.on('request', (request) => this.#unanswered.set(request, 'no answer yet'));
    page.on('response', (response) => this.#unanswered.delete(response.request()));
    page.on('requestfailed', (request) =>
      this.#unanswered.set(request, request.failure()?.errorText ?? 'failed'),
    );
  }

  /** An element by its data-testid. */
  at(testId: string): Locator {
    return this.page.locator(`[data-testid="${testId}"]`);
  }

  /** Opens the page, as its default user unless told otherwise. It does not wait for the stream. */
  async open(baseUrl: string, identity: Identity = {}): Promise<void> {
    const url = new URL('/', baseUrl);
    if (identity.user !== undefined) url.searchParams.set('user', identity.user);
    if (identity.tenant !== undefined) url.searchParams.set('tenant', identity.tenant);
    await this.page.goto(url.href);
  }

  /** Becomes somebody else through the form at the top. */
  async switchTo(identity: Required<Identity>): Promise<void> {
    await this.at('user').fill(identity.user);
    await this.at('tenant').fill(identity.tenant);
    await this.at('switch').click();
    await this.page.waitForURL((url) => url.searchParams.get('user') === identity.user);
  }

  async waitForState(state: StreamState): Promise<void> {
    try {
      await this.page.locator(`[data-testid="status"][data-state="${state}"]`).waitFor();
    } catch (error) {
      throw new Error(`not ${state}\n${await this.#circumstances()}`, { cause: error });
    }
  }

  async #circumstances(): Promise<string> {
    const log = await this.at('log-row').allTextContents();
    const requests = [...this.#unanswered].map(([request, why]) => `${request.url()}: ${why}`);
    return [await this.statusText(), await this.bannerText(), ...log, ...requests].join('\n');
  }

  /** Waits until the stream is open and the inbox has been fetched. */
  async waitLive(): Promise<void> {
    await this.waitForState('live');
    await this.page.locator('[data-testid="list"][aria-busy="false"]').waitFor({ state: 'attached' });
  }

  /** 'Live', 'Reconnecting: shutdown' and the like. */
  async statusText(): Promise<string> {
    return (await this.at('status').textContent()) ?? '';
  }

  /** The stream's session id; '' before the first heartbeat. */
  async sessionId(): Promise<string> {
    return (await this.at('session').getAttribute('data-session')) ?? '';
  }

  /** The last position that the stream named; '' before the first event. */
  async position(): Promise<string> {
    return (await this.at('position').textContent()) ?? '';
  }

  /** What the banner says is wrong; '' when there is none. */
  async bannerText(): Promise<string> {
    const banner = this.at('banner');
    return (await banner.isVisible()) ? ((await banner.locator('span').textContent()) ?? '') : '';
  }

  /** What the line at the bottom says; '' when there is none. */
  async noteText(): Promise<string> {
    const note = this.at('note');
    return (await note.isVisible()) ? ((await note.locator('span').textContent()) ?? '') : '';
  }

  async fill(draft: Draft): Promise<void> {
    const fields = [
      ['to', draft.to?.join(', ')],
      ['title', draft.title],
      ['body', draft.body],
      ['type', draft.type],
      ['action-url', draft.actionUrl],
      ['notification-id', draft.notificationId],
    ] as const;
    for (const [testId, value] of fields) if (value !== undefined) await this.at(testId).fill(value);
    if (draft.urgency !== undefined) await this.at('urgency').selectOption(draft.urgency);
  }

  /** The notification id that the next send takes. */
  async nextNotificationId(): Promise<string> {
    return this.at('notification-id').inputValue();
  }

  /** Fills the form, sends, and waits for the answer. @returns the answer */
  async send(draft: Draft = {}): Promise<Answer> {
    await this.fill(draft);
    return this.#answerAfter(() => this.at('send').click());
  }

  /** Checks the channels to send by, and fills in addresses; '' leaves the page's own. In-app only if it is named. */
  async chooseWays(ways: Readonly<Record<string, string>>): Promise<void> {
    await this.at('way-in_app').setChecked('in_app' in ways);
    for (const [channel, address] of Object.entries(ways)) {
      await this.at(`way-${channel}`).check();
      if (address !== '') await this.at(`address-${channel}`).fill(address);
    }
  }

  /** Says in the form of the test mailbox what messages meet. @param channel '' for every one */
  async setScene(channel: string, next: string, count = ''): Promise<void> {
    await this.at('outage-channel').selectOption(channel);
    await this.at('outage-next').selectOption(next);
    await this.at('outage-count').selectOption(count);
    await this.at('outage-apply').click();
  }

  /** What the test mailbox says of outages; '' where there is none. */
  async outageText(): Promise<string> {
    return (await this.at('outages').isVisible())
      ? ((await this.at('outages-text').textContent()) ?? '')
      : '';
  }

  /** The newest delivery in the test mailbox that goes to a destination. */
  mailTo(destination: string): Locator {
    const to = this.at('mail-destination').filter({ hasText: exactly(destination) });
    return this.at('mail').filter({ has: to }).first();
  }

  /** Waits until a delivery has an outcome: waiting, accepted, failed, refused, aborted or captured. */
  async waitForMail(destination: string, outcome: string): Promise<void> {
    await this.mailTo(destination)
      .and(this.page.locator(`[data-outcome="${outcome}"]`))
      .waitFor();
  }

  /** The deliveries of the test mailbox in the order shown. */
  async mail(): Promise<ShownMail[]> {
    return this.at('mail').evaluateAll((letters) =>
      letters.map((letter) => {
        const text = (name: string) =>
          letter.querySelector(`[data-testid="mail-${name}"]`)?.textContent ?? '';
        const data = (name: string) => letter.getAttribute(`data-${name}`) ?? '';
        return {
          channel: data('channel'),
          destination: text('destination'),
          title: text('title'),
          body: text('body'),
          outcome: data('outcome'),
          tries: Number(data('tries')),
          key: data('key'),
        };
      }),
    );
  }

  /** Opens a delivery's attempts and waits until it says a status. @returns a line for each attempt */
  async attemptsOf(destination: string, status: string): Promise<string[]> {
    const letter = this.mailTo(destination);
    const details = letter.locator('[data-testid="mail-details"]');
    if ((await details.getAttribute('open')) === null) await letter.locator('summary').click();
    await letter.locator(`[data-testid="mail-status"][data-status="${status}"]`).waitFor();
    return letter.locator('[data-testid="mail-attempts"] li').allTextContents();
  }

  /** Repeats the last send with its id. @returns the answer */
  async sendAgain(): Promise<Answer> {
    return this.#answerAfter(() => this.at('send-again').click());
  }

  async lastAnswer(): Promise<Answer> {
    const box = this.at('answer-box');
    await box.waitFor();
    const text = async (testId: string) => {
      const found = box.locator(`[data-testid="${testId}"]`);
      return (await found.count()) > 0 ? ((await found.textContent()) ?? '') : '';
    };
    return {
      state: (await box.getAttribute('data-state')) as Answer['state'],
      title: await text('answer-title'),
      delivered: Number(await text('answer-delivered')),
      pending: Number(await text('answer-pending')),
      failed: Number(await text('answer-failed')),
      suppressed: Number(await text('answer-suppressed')),
      results: await box.locator('[data-testid="answer-results"] li').allTextContents(),
      code: (await box.getAttribute('data-code')) ?? '',
      message: await text('answer-message'),
    };
  }

  /** The items in the order shown. */
  async items(): Promise<ShownItem[]> {
    // in one look: the list may grow between two
    return this.at('item').evaluateAll((items) =>
      items.map((item) => {
        const text = (name: string) => item.querySelector(`[data-testid="item-${name}"]`)?.textContent ?? '';
        const data = (name: string) => item.getAttribute(`data-${name}`) ?? '';
        return {
          id: data('id'),
          notificationId: data('notification-id'),
          title: text('title'),
          body: text('body'),
          meta: [...item.querySelectorAll('[data-testid="item-meta"] span')].map(
            (span) => span.textContent ?? '',
          ),
          unread: data('unread') === 'true',
        };
      }),
    );
  }

  /** The newest item with exactly this title. */
  item(title: string): Locator {
    const named = this.at('item-title').filter({ hasText: exactly(title) });
    return this.at('item').filter({ has: named }).first();
  }

  async waitForItem(title: string, state: { unread?: boolean } = {}): Promise<void> {
    const item = this.item(title);
    if (state.unread === undefined) await item.waitFor();
    else await item.and(this.page.locator(`[data-unread="${state.unread}"]`)).waitFor();
  }

  /** Waits until no item has this title. */
  async waitForNoItem(title: string): Promise<void> {
    await this.item(title).waitFor({ state: 'detached' });
  }

  async unreadCount(): Promise<number> {
    return Number(await this.at('unread-count').getAttribute('data-count'));
  }

  async waitForUnread(count: number): Promise<void> {
    await this.page.locator(`[data-testid="unread-count"][data-count="${count}"]`).waitFor();
  }

  /** Presses one of an item's buttons. */
  async press(action: ItemAction, title: string): Promise<void> {
    await this.item(title).locator(`[data-testid="${action}"]`).click();
  }

  /** Marks an item as read and waits until it shows that. */
  async markRead(title: string): Promise<void> {
    await this.press('mark-read', title);
    await this.waitForItem(title, { unread: false });
  }

  async markUnread(title: string): Promise<void> {
    await this.press('mark-unread', title);
    await this.waitForItem(title, { unread: true });
  }

  async archive(title: string): Promise<void> {
    await this.press('archive', title);
  }

  async delete(title: string): Promise<void> {
    await this.press('delete', title);
  }

  /** Presses the button of the line at the bottom, such as "Undo" after archiving. */
  async pressNote(): Promise<void> {
    await this.at('note-action').click();
  }

  async markAllRead(): Promise<void> {
    await this.at('mark-all-read').click();
    await this.waitForUnread(0);
  }

  async show(filter: 'all' | 'unread'): Promise<void> {
    await this.at(`filter-${filter}`).check();
  }

  /** Loads one more page. @returns whether there was one to load */
  async loadMore(): Promise<boolean> {
    const button = this.at('load-more');
    if (!(await button.isVisible())) return false;
    const before = await this.at('item').count();
    await button.click();
    await this.at('item').nth(before).waitFor();
    return true;
  }

  /** The code shown for a call, in a language. */
  async code(language: CodeLanguage, call?: CodeCall): Promise<string> {
    if (call !== undefined) await this.at('code-call').selectOption(call);
    await this.at(`code-tab-${language}`).click();
    return (await this.at('code').textContent()) ?? '';
  }

  /** The call that the code panel shows. */
  async codeCall(): Promise<CodeCall> {
    return (await this.at('code-call').inputValue()) as CodeCall;
  }

  /** The event log, newest first; only one kind of event, if named. */
  async log(kind?: string): Promise<LogLine[]> {
    const rows = kind === undefined ? this.at('log-row') : this.#logRows(kind);
    const lines: LogLine[] = [];
    for (const row of await rows.all())
      lines.push({
        kind: (await row.getAttribute('data-kind')) ?? '',
        position: (await row.getAttribute('data-position')) ?? '',
        detail: (await row.locator('[data-testid="log-detail"]').textContent()) ?? '',
      });
    return lines;
  }

  /** Waits until the log has an event of this kind, with this text if given. */
  async waitForLog(kind: string, text = ''): Promise<void> {
    await this.#logRows(kind).filter({ hasText: text }).first().waitFor({ state: 'attached' });
  }

  #logRows(kind: string): Locator {
    return this.page.locator(`[data-testid="log-row"][data-kind="${kind}"]`);
  }

  /** Each send is numbered, so that an older answer is not taken for the new one. */
  async #answerAfter(press: () => Promise<void>): Promise<Answer> {
    const region = this.at('answer');
    const before = Number(await region.getAttribute('data-answers'));
    await press();
    await this.page.locator(`[data-testid="answer"][data-answers="${before + 1}"]`).waitFor();
    return this.lastAnswer();
  }
}

const exactly = (text: string): RegExp => new RegExp(`^${text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')}$`);
