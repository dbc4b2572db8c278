-- Churn features from invoices due by the as-of date: paid on time, days overdue, and whether they pay later than
-- before. A payment after the as-of date is not known yet: the invoice counts as unpaid, overdue up to the as-of
-- date.
with payments as (

    select * from {{ ref('int_payments') }}

),

as_of_dates as (

    select * from {{ ref('int_as_of_dates') }}

),

due as (

    select
        payments.customer_id,
        as_of_dates.as_of_date,
        {{ days_between('payments.due_on', 'as_of_dates.as_of_date') }} as age_days,
        coalesce(payments.paid_on <= payments.due_on, false) as is_on_time,
        coalesce(payments.paid_on <= as_of_dates.as_of_date, false) as is_paid,
        greatest(
            {{ days_between(
                'payments.due_on', 'least(coalesce(payments.paid_on, as_of_dates.as_of_date), as_of_dates.as_of_date)'
            ) }}, 0
        ) as days_overdue
    from payments
    inner join as_of_dates
        on payments.due_on <= as_of_dates.as_of_date

)

select
    customer_id,
    as_of_date,
    {{ ratio(
        'sum(case when age_days < 365 and is_on_time then 1 else 0 end)',
        'sum(case when age_days < 365 then 1 else 0 end)'
    ) }} as on_time_rate_365d,
    cast({{ mean_of(
        'sum(case when age_days < 365 then days_overdue end)', 'count(case when age_days < 365 then days_overdue end)'
    ) }} as decimal(18, 2)) as days_overdue_365d,
    cast(
        {{ mean_of(
            'sum(case when age_days < 90 then days_overdue end)', 'count(case when age_days < 90 then days_overdue end)'
        ) }}
        - {{ mean_of(
            'sum(case when ' ~ in_window('age_days', 90, 365) ~ ' then days_overdue end)',
            'count(case when ' ~ in_window('age_days', 90, 365) ~ ' then days_overdue end)'
        ) }} as decimal(18, 2)
    ) as days_overdue_change,
    cast(sum(case when is_paid then 0 else 1 end) as integer) as overdue_invoices
from due
group by customer_id, as_of_date
