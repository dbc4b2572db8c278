-- Straight from the raw files, written without looking at rules and models. Tables: log (the incident log), shop (all
-- order lines). In the log ? means no value and times are day/month/year; a line with too few fields is read as nulls.
-- `fine` is what may be kept: a row that breaks no rule which keeps rows out.
create view events as
select
    rowid as line, number is null or sys_updated_at is null as is_broken, incident_state as state, priority,
    nullif(number, '?') as number, nullif(sys_mod_count, '?') as change, nullif(caller_id, '?') as caller,
    nullif(opened_at, '?') as opened, sys_updated_at as updated, nullif(resolved_at, '?') as resolved,
    nullif(closed_at, '?') as closed,
    try_strptime(opened_at, '%d/%m/%Y %H:%M') as o, try_strptime(sys_updated_at, '%d/%m/%Y %H:%M') as u,
    try_strptime(resolved_at, '%d/%m/%Y %H:%M') as r, try_strptime(closed_at, '%d/%m/%Y %H:%M') as c,
    count(*) over (partition by number, sys_mod_count) as copies,
    coalesce(incident_state in ('New', 'Active', 'Resolved', 'Closed')
        or incident_state in ('Awaiting User Info', 'Awaiting Problem', 'Awaiting Vendor', 'Awaiting Evidence'), false)
        as has_state,
    coalesce(left(priority, 3) in ('1 -', '2 -', '3 -', '4 -'), false) as has_priority
from log;

create view fine as
select * from events
where not is_broken and has_state and has_priority and number similar to 'INC[0-9]{7}' and change similar to '[0-9]+'
    and caller similar to 'Caller +[0-9]+' and u >= o and (resolved is null or r >= o)
    and (closed is null or c >= coalesce(r, o));

-- query: incidents
select 'row_well_formed', count(*) from events where is_broken
union all select 'number_present', count(*) from events where is_broken or number is null
union all select 'number_format', count(*) from events where not is_broken and not number similar to 'INC[0-9]{7}'
union all select 'sys_mod_count_present', count(*) from events where is_broken or change is null
union all select 'sys_mod_count_number', count(*) from events where not is_broken and not change similar to '[0-9]+'
union all select 'event_unique', count(*) from fine where copies > 1
union all select 'incident_state_known', count(*) from events where not is_broken and not has_state
union all select 'caller_present', count(*) from events where is_broken or caller is null
union all select 'caller_format', count(*) from events where not is_broken and not caller similar to 'Caller +[0-9]+'
union all select 'priority_known', count(*) from events where not is_broken and not has_priority
union all select 'opened_at_present', count(*) from events where is_broken or opened is null
union all select 'opened_at_valid', count(*) from events where not is_broken and opened is not null and o is null
union all select 'sys_updated_at_valid', count(*) from events where not is_broken and u is null
union all select 'resolved_at_valid', count(*) from events where not is_broken and resolved is not null and r is null
union all select 'closed_at_valid', count(*) from events where not is_broken and closed is not null and c is null
union all select 'opened_before_updated', count(*) from events where not is_broken and u < o
union all select 'opened_before_resolved', count(*) from events where not is_broken and r < o
union all select 'resolved_before_closed', count(*) from events where not is_broken and c < r
union all select 'resolved_has_a_time', count(*) from fine where state in ('Resolved', 'Closed') and resolved is null;

-- query: shop
select 'customer_present', count(*) from shop where coalesce(CustomerID, '') = ''
union all select 'unit_price_positive', count(*) from shop where cast(UnitPrice as double) <= 0
union all select 'quantity_absurd', count(*) from shop where abs(cast(Quantity as double)) > 50000
union all select 'quantity_sign', count(*) from shop
where starts_with(InvoiceNo, 'C') <> (cast(Quantity as double) < 0)
union all select 'stock_code_not_test', count(*) from shop where starts_with(StockCode, 'TEST');

-- query: tickets
-- Mean hours to the first response and to the resolution per customer on the evening of 2016-05-31, and complaints.
with shop_customers as (
    select distinct cast(split_part(CustomerID, '.', 1) as integer) as id
    from shop
    where coalesce(CustomerID, '') <> '' and cast(UnitPrice as double) > 0
        and abs(cast(Quantity as double)) <= 50000 and not starts_with(StockCode, 'TEST')
        and starts_with(InvoiceNo, 'C') = (cast(Quantity as double) < 0)
),
changes as (
    select number, cast(change as integer) as change, arg_max(fine, line) as e from fine group by 1, 2
),
tickets as (
    select
        cast(split_part(arg_max(e.caller, change), ' ', -1) as integer) as caller,
        any_value(e.o) as opened,
        min(e.u) filter (e.state <> 'New') as responded,
        arg_max(coalesce(e.r, e.c), change) as resolved
    from changes
    group by number
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
