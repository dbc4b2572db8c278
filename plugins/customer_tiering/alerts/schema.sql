-- What each line last said about each customer: the next message starts from there.
create table told (
    subject text, scheme text, channel text, audience text, customer_id text,
    state text not null, recipient text not null, message_id text, as_of_date text not null,
    is_certain integer not null, -- 0: by a message that was cancelled and may have arrived
    primary key (subject, scheme, channel, audience, customer_id)
);
-- Lines that had their silent first night.
create table seeded (
    subject text, scheme text, channel text, audience text, as_of_date text not null,
    primary key (subject, scheme, channel, audience)
);
create table messages (
    message_id text primary key,
    subject text not null, scheme text not null, channel text not null, audience text not null,
    customer_id text not null, customer_name text not null, recipient text not null, owner text not null,
    from_state text not null, to_state text not null, direction text not null,
    as_of_date text not null, facts text not null,
    state text not null check (state in ('due', 'sending', 'sent', 'failed', 'given_up', 'superseded')),
    attempts integer not null default 0, last_error text not null default '',
    next_attempt_at text not null default '',
    maybe_told integer not null default 0, -- an attempt ended without an answer
    letter_id text not null default '',
    created_at text not null, sent_at text not null default ''
);
create index messages_by_state on messages (state, channel);
create index messages_by_customer on messages (customer_id);
-- Texts as they went out.
create table letters (
    letter_id text primary key, channel text not null, recipient text not null,
    title text not null, body text not null, begun_at text not null, sent_at text not null default ''
);
