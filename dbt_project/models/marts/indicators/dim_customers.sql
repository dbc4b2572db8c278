-- The cleaned customer table: one row per customer known on the night, private data masked.
with customers as (

    select * from {{ ref('int_customers') }}

),

indicators as (

    select
        customer_id,
        last_order_on,
        cumulative_spend,
        row_number() over (partition by customer_id order by as_of_date desc) as newest_rank
    from {{ ref('int_indicators_orders') }}

)

select
    customers.customer_id,
    customers.customer_name,
    customers.industry_l1,
    customers.industry_l2,
    customers.industry_as_typed is not null and customers.industry_l1 is null as is_industry_unmapped,
    customers.company_size,
    customers.region,
    customers.owner_name as owner,
    {{ mask_name('customers.contact_name') }} as contact_masked,
    {{ mask_phone('customers.phone') }} as phone_masked,
    customers.registered_on,
    indicators.last_order_on,
    indicators.cumulative_spend
from customers
inner join indicators
    on
        customers.customer_id = indicators.customer_id
        and indicators.newest_rank = 1
