-- Credit over the last 12 months: of the invoices that fell due, the share paid by the due day, and the mean
-- days overdue (an invoice still unpaid is overdue up to the as-of day; paid early counts 0).
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
        payments.due_on,
        case
            when payments.paid_on <= as_of_dates.as_of_date then payments.paid_on
        end as paid_on
    from payments
    inner join as_of_dates
        on
            payments.due_on > as_of_dates.year_before
            and payments.due_on <= as_of_dates.as_of_date

)

select
    customer_id,
    as_of_date,
    {{ ratio('sum(case when paid_on <= due_on then 1 else 0 end)', 'count(*)') }} as on_time_payment_rate,
    cast(
        avg(greatest({{ days_between('due_on', 'coalesce(paid_on, as_of_date)') }}, 0)) as decimal(18, 2)
    ) as average_days_overdue
from due
group by customer_id, as_of_date
