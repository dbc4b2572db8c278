-- Straight from the raw files, written without looking at rules and models. Tables: log (the incident log), shop (all
-- order lines). In the log ? means no value and times are day/month/year; a line with too few fields is read as nulls.
-- `fine` is what may be kept: a row that breaks no rule which keeps rows out.
create view events as
select
    rowid as line, number is null or sys_updated_at is null as is_broken, incident_state as state,
    nullif(number, '?') as number, nullif(sys_mod_count, '?') as change, nullif(caller_id, '?') as caller, nullif(opened_at, '?') as opened,
    coalesce(nullif(resolved_at, '?'), nullif(closed_at, '?')) as resolved,
    try_strptime(opened_at, '%d/%m/%Y %H:%M') as o, try_strptime(sys_updated_at, '%d/%m/%Y %H:%M') as u,
    try_strptime(coalesce(nullif(resolved_at, '?'), nullif(closed_at, '?')), '%d/%m/%Y %H:%M') as r,
    coalesce(incident_state in ('New', 'Active', 'Resolved', 'Closed')
        or incident_state in ('Awaiting User Info', 'Awaiting Problem', 'Awaiting Vendor', 'Awaiting Evidence'), false)
        as has_state
from log;

create view fine as
select * from events
where not is_broken and number similar to 'INC[0-9]{7}' and caller similar to 'Caller +[0-9]+' and u >= o
    and (resolved is null or r >= o);

-- query: incidents
select 'customers.row_well_formed', count(*) from events where is_broken
union all select 'customers.customer_id_present', count(*) from events where is_broken or caller is null
union all select 'customers.customer_id_readable', count(*) from events
where not is_broken and not caller similar to 'Caller +[0-9]+'
union all select 'customers.updated_at_readable', count(*) from events where not is_broken and u is null
union all select 'tickets.row_well_formed', count(*) from events where is_broken
union all select 'tickets.ticket_id_present', count(*) from events where is_broken or number is null
union all select 'tickets.ticket_id_format', count(*) from events
where not is_broken and not number similar to 'INC[0-9]{7}'
union all select 'tickets.customer_id_present', count(*) from events where is_broken or caller is null
union all select 'tickets.customer_id_readable', count(*) from events
where not is_broken and not caller similar to 'Caller +[0-9]+'
union all select 'tickets.opened_at_present', count(*) from events where is_broken or opened is null
union all select 'tickets.opened_at_readable', count(*) from events
where not is_broken and opened is not null and o is null
union all select 'tickets.resolved_at_readable', count(*) from events
where not is_broken and resolved is not null and r is null
union all select 'tickets.updated_at_readable', count(*) from events where not is_broken and u is null
union all select 'tickets.resolved_after_opened', count(*) from events where not is_broken and r < o
union all select 'tickets.changed_after_opened', count(*) from events where not is_broken and u < o
union all select 'ticket_events.row_well_formed', count(*) from events where is_broken
union all select 'ticket_events.event_id_present', count(*) from events where is_broken
union all select 'ticket_events.ticket_id_present', count(*) from events where is_broken or number is null
union all select 'ticket_events.kind_present', count(*) from events where is_broken
union all select 'ticket_events.kind_readable', count(*) from events where not is_broken and not has_state
union all select 'ticket_events.occurred_at_present', count(*) from events where is_broken
union all select 'ticket_events.occurred_at_readable', count(*) from events where not is_broken and u is null
union all select 'ticket_events.ticket_id_exists', count(*) from events
where not is_broken and number is not null and number not in (select number from fine);

-- query: shop
select 'customer_id_present', count(*) from shop where coalesce(CustomerID, '') = ''
union all select 'unit_price_positive', count(*) from shop where cast(UnitPrice as double) <= 0
union all select 'quantity_absurd', count(*) from shop where abs(cast(Quantity as double)) > 50000
union all select 'quantity_sign', count(*) from shop
where starts_with(InvoiceNo, 'C') <> (cast(Quantity as double) < 0)
union all select 'product_not_test', count(*) from shop where starts_with(StockCode, 'TEST');

-- query: tickets
-- Mean hours to the first response and to the resolution per customer on the evening of 2016-05-31, and complaints.
with shop_customers as (
    select distinct cast(split_part(CustomerID, '.', 1) as integer) as id
    from shop
    where coalesce(CustomerID, '') <> '' and cast(UnitPrice as double) > 0
        and abs(cast(Quantity as double)) <= 50000 and not starts_with(StockCode, 'TEST')
        and starts_with(InvoiceNo, 'C') = (cast(Quantity as double) < 0)
),
states as (
    select
        number, cast(split_part(arg_max(caller, (u, line)), ' ', -1) as integer) as caller,
        arg_max(o, (u, line)) as opened, arg_max(r, (u, line)) as resolved
    from fine
    group by number
),
changes as (
    select number, change, max(u) as u, arg_max(state, (u, line)) as state
    from events where has_state and u is not null group by number, change
),
responses as (
    select number, min(u) as responded from changes where state <> 'New' group by number
),
tickets as (
    select states.caller, states.opened, states.resolved, responses.responded
    from states left join responses using (number)
),
hours as (
    select
        caller,
        case when responded < '2016-06-01' then round(epoch(responded - opened) / 3600, 2)::decimal(18, 2) end as first,
        case when resolved < '2016-06-01' then round(epoch(resolved - opened) / 3600, 2)::decimal(18, 2) end as whole
    from tickets
    where opened < '2016-06-01'
)
select
    case when shop_customers.id is null then 'uci_incident_tickets-' || caller else 'online_retail-' || id end,
    -- Whole cents of an hour, halves up: (2 * sum + n) // 2n.
    (((200 * sum(first) + count(first))::bigint // (2 * count(first))) / 100)::decimal(18, 2),
    (((200 * sum(whole) + count(whole))::bigint // (2 * count(whole))) / 100)::decimal(18, 2),
    0
from hours left join shop_customers on shop_customers.id = 12345 + caller
group by 1;
