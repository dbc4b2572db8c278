-- Order indicators per customer and as-of date: recency, frequency, cumulative and annual spend, margin.
-- Annual spend: a customer of an order system without orders in the window has a true 0; a customer no order
-- system knows has none. When the data begins after the window does, setting `uncovered_window` decides:
-- pending (missing), impute (last 3 months x 4) or observed (what is there); the status column says which.
with customers as (

    select * from {{ ref('int_customer_as_of') }}

),

days as (

    select * from {{ ref('int_customer_days') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

coverage as (

    select * from {{ ref('int_order_coverage') }}

),

history as (

    select
        days.customer_id,
        as_of_dates.as_of_date,
        max(case when days.order_count > 0 then days.ordered_on end) as last_order_on,
        sum(days.order_count) as order_frequency,
        sum(days.net_amount) as cumulative_spend
    from days
    inner join as_of_dates
        on days.ordered_on <= as_of_dates.as_of_date
    group by days.customer_id, as_of_dates.as_of_date

),

in_window as (

    select
        days.customer_id,
        as_of_dates.as_of_date,
        sum(case when as_of_dates.spend_basis = 'gross' then days.gross_amount else days.net_amount end) as spend,
        sum(days.lines_net_amount) as lines_net_amount,
        sum(days.lines_cost_amount) as lines_cost_amount,
        sum(days.lines_without_cost) as lines_without_cost
    from days
    inner join as_of_dates
        on
            days.ordered_on between as_of_dates.spend_window_start and as_of_dates.spend_window_end
    group by days.customer_id, as_of_dates.as_of_date

),

last_quarter as (

    select
        days.customer_id,
        as_of_dates.as_of_date,
        sum(case when as_of_dates.spend_basis = 'gross' then days.gross_amount else days.net_amount end) as spend
    from days
    inner join as_of_dates
        on
            days.ordered_on > as_of_dates.quarter_before
            and days.ordered_on <= as_of_dates.as_of_date
    group by days.customer_id, as_of_dates.as_of_date

),

joined as (

    select
        customers.customer_id,
        customers.as_of_date,
        customers.has_order_source,
        customers.first_order_on,
        customers.registered_on,
        history.last_order_on,
        history.order_frequency,
        history.cumulative_spend,
        in_window.spend as window_spend,
        in_window.lines_net_amount,
        in_window.lines_cost_amount,
        in_window.lines_without_cost,
        last_quarter.spend as quarter_spend,
        case
            when not customers.has_order_source then 'missing'
            when coverage.data_begins_on <= as_of_dates.spend_window_start then 'measured'
            when as_of_dates.uncovered_window = 'observed' then 'partial'
            when as_of_dates.uncovered_window = 'impute' and coverage.data_begins_on <= as_of_dates.quarter_before
                then 'imputed'
            else 'missing'
        end as annual_spend_status
    from customers
    inner join as_of_dates
        on customers.as_of_date = as_of_dates.as_of_date
    left join coverage
        on customers.as_of_date = coverage.as_of_date
    left join history
        on
            customers.customer_id = history.customer_id
            and customers.as_of_date = history.as_of_date
    left join in_window
        on
            customers.customer_id = in_window.customer_id
            and customers.as_of_date = in_window.as_of_date
    left join last_quarter
        on
            customers.customer_id = last_quarter.customer_id
            and customers.as_of_date = last_quarter.as_of_date

)

select
    customer_id,
    as_of_date,
    last_order_on,
    annual_spend_status,
    cast(
        case annual_spend_status
            when 'measured' then coalesce(window_spend, 0)
            when 'partial' then coalesce(window_spend, 0)
            when 'imputed' then coalesce(quarter_spend, 0) * 4
        end as decimal(18, 2)
    ) as annual_spend,
    cast(case when has_order_source then coalesce(cumulative_spend, 0) end as decimal(18, 2)) as cumulative_spend,
    cast(case when has_order_source then coalesce(order_frequency, 0) end as integer) as order_frequency,
    cast({{ days_between('last_order_on', 'as_of_date') }} as integer) as recency_days,
    cast({{ ratio('cumulative_spend', 'order_frequency') }} as decimal(18, 2)) as average_order_value,
    cast(
        case when lines_without_cost = 0 then lines_net_amount - lines_cost_amount end as decimal(18, 2)
    ) as profit_contribution,
    case
        when lines_without_cost = 0 and lines_net_amount > 0
            then {{ ratio('lines_net_amount - lines_cost_amount', 'lines_net_amount') }}
    end as profit_margin,
    cast(
        {{ completed_years('coalesce(first_order_on, registered_on)', 'as_of_date') }} as integer
    ) as tenure_years,
    case when has_order_source then coalesce(order_frequency, 0) >= 2 end as is_repeat_buyer
from joined
